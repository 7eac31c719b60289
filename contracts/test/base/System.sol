// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

import {AssetRegistry} from "../../src/AssetRegistry.sol";
import {ConsentRegistry} from "../../src/ConsentRegistry.sol";
import {DevelopmentToken} from "../../src/DevelopmentToken.sol";
import {LogAnchor} from "../../src/LogAnchor.sol";
import {RoyaltyVault} from "../../src/RoyaltyVault.sol";
import {TrainingRounds} from "../../src/TrainingRounds.sol";
import {IAssetRegistry} from "../../src/interfaces/IAssetRegistry.sol";
import {ITrainingRounds} from "../../src/interfaces/ITrainingRounds.sol";
import {Test} from "./Test.sol";

/// @title Every contract, deployed and wired as a deployment does it, and the people who use them
abstract contract System is Test {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant TIMELOCK_DELAY = 2 days;
    uint8 internal constant PURPOSE = 2;
    uint160 internal constant PURPOSES = uint160(1) << PURPOSE;
    uint128 internal constant BUDGET = 1_000_000e18;
    uint128 internal constant BOND = 5e18;

    address internal immutable sponsor = vm.addr(uint256(keccak256("sponsor")));
    address internal immutable coordinator = vm.addr(uint256(keccak256("coordinator")));
    address internal immutable stranger = vm.addr(uint256(keccak256("stranger")));

    TimelockController internal timelock;
    AssetRegistry internal assets;
    ConsentRegistry internal consents;
    TrainingRounds internal rounds;
    RoyaltyVault internal vault;
    LogAnchor internal anchors;
    DevelopmentToken internal token;

    function setUp() public virtual {
        vm.warp(START);
        address[] memory council = new address[](1);
        council[0] = address(this);
        timelock = TimelockController(
            payable(_deploy("TimelockController", abi.encode(TIMELOCK_DELAY, council, council, address(0))))
        );
        assets = AssetRegistry(
            _proxy(_deploy("AssetRegistry", ""), abi.encodeCall(AssetRegistry.initialize, (address(this))))
        );
        consents = ConsentRegistry(
            _proxy(
                _deploy("ConsentRegistry", abi.encode(assets)),
                abi.encodeCall(ConsentRegistry.initialize, (address(timelock)))
            )
        );
        rounds = TrainingRounds(_deploy("TrainingRounds", abi.encode(assets, consents)));
        assets.setRegistrar(address(rounds), true);
        assets.transferOwnership(address(timelock));
        vault = RoyaltyVault(_deploy("RoyaltyVault", abi.encode(assets)));
        anchors = LogAnchor(_deploy("LogAnchor", ""));
        token = DevelopmentToken(_deploy("DevelopmentToken", ""));
        vm.label(sponsor, "sponsor");
        vm.label(coordinator, "coordinator");
        vm.label(stranger, "stranger");
    }

    /// @dev Deploys a committed artifact, so that what is tested is what is deployed.
    function _deploy(string memory name, bytes memory arguments) internal returns (address deployed) {
        bytes memory code = abi.encodePacked(vm.getCode(string.concat("artifacts/", name, ".json")), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        require(deployed != address(0), name);
    }

    function _proxy(address implementation, bytes memory call) internal returns (address) {
        return _deploy("ERC1967Proxy", abi.encode(implementation, call));
    }

    // People

    function _key(uint256 clinic) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("clinic", clinic)));
    }

    /// @dev The owner of the dataset number `clinic`, counted from 0.
    function _clinic(uint256 clinic) internal pure returns (address) {
        return vm.addr(_key(clinic));
    }

    /// @dev Gives tokens to an account, which approves a spender for all of them.
    function _fund(address account, address spender, uint256 amount) internal {
        token.mint(account, amount);
        vm.prank(account);
        token.approve(spender, type(uint256).max);
    }

    // Assets

    function _registration(IAssetRegistry.Kind kind, bytes32 content)
        internal
        pure
        returns (IAssetRegistry.Registration memory registration)
    {
        registration.kind = kind;
        registration.contentDigest = content;
        registration.manifestDigest = keccak256(abi.encode("manifest", content));
        registration.uri = "blake3:manifest";
    }

    function _register(address owner, IAssetRegistry.Kind kind, bytes32 content) internal returns (uint64) {
        vm.prank(owner);
        return assets.register(owner, _registration(kind, content));
    }

    function _child(address owner, IAssetRegistry.Parent[] memory parents) internal returns (uint64) {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "child");
        registration.parents = parents;
        vm.prank(owner);
        return assets.register(owner, registration);
    }

    function _dataset(uint256 clinic) internal returns (uint64) {
        return _register(_clinic(clinic), IAssetRegistry.Kind.Dataset, keccak256(abi.encode("rows", clinic)));
    }

    function _consented(uint256 clinic) internal returns (uint64 dataset) {
        dataset = _dataset(clinic);
        vm.prank(_clinic(clinic));
        consents.grant(dataset, PURPOSES, 0);
    }

    // Studies

    function _terms() internal view returns (ITrainingRounds.Terms memory terms) {
        terms.token = address(token);
        terms.coordinator = coordinator;
        terms.budget = BUDGET;
        terms.bond = BOND;
        terms.purpose = PURPOSE;
        terms.termsDigest = "terms";
        terms.minMembers = 2;
        terms.maxMembers = 8;
        terms.rounds = 3;
        terms.roundSeconds = 600;
        terms.closeSeconds = 300;
        terms.enrolUntil = uint64(block.timestamp + 1 days);
        terms.finishBy = uint64(block.timestamp + 30 days);
        terms.memberCapPpm = 600_000;
        terms.lineageSharePpm = 400_000;
    }

    function _open(ITrainingRounds.Terms memory terms) internal returns (uint64) {
        _fund(sponsor, address(rounds), terms.budget);
        vm.prank(sponsor);
        return rounds.open(terms);
    }

    function _join(uint64 study, uint256 clinic, uint64 dataset) internal returns (uint8) {
        _fund(_clinic(clinic), address(rounds), BOND);
        vm.prank(_clinic(clinic));
        return rounds.join(study, dataset);
    }

    /// @dev A study with `members` clinics, each with a consented dataset of its own, started.
    function _running(ITrainingRounds.Terms memory terms, uint256 members) internal returns (uint64 study) {
        study = _open(terms);
        for (uint256 i = 0; i < members; ++i) {
            _join(study, i, _consented(i));
        }
        vm.prank(coordinator);
        rounds.start(study);
    }

    function _openRound(uint64 study) internal returns (uint32) {
        bytes32 last = rounds.study(study).result;
        vm.prank(coordinator);
        return rounds.openRound(study, last == 0 ? bytes32("base") : last);
    }

    function _commit(uint64 study, uint256 clinic) internal {
        uint32 round = rounds.study(study).round;
        vm.prank(_clinic(clinic));
        rounds.commitUpdate(study, round, uint8(clinic), keccak256(abi.encode("update", round, clinic)));
    }

    function _close(uint64 study, uint64 survivors) internal {
        _closeSpending(study, survivors, rounds.study(study).spentEpsilon);
    }

    function _closeSpending(uint64 study, uint64 survivors, uint64 spentEpsilon) internal {
        uint32 round = rounds.study(study).round;
        vm.prank(coordinator);
        rounds.closeRound(study, round, survivors, _result(round), spentEpsilon);
    }

    function _result(uint32 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("result", round));
    }

    /// @dev One whole round in which members with a bit in `survivors` commit and survive.
    function _round(uint64 study, uint64 survivors) internal {
        _openRound(study);
        for (uint256 i = 0; i < 64; ++i) {
            if (survivors >> i & 1 == 1) _commit(study, i);
        }
        _close(study, survivors);
    }

    /// @dev Runs every round with all members and records `contributions`.
    function _finished(ITrainingRounds.Terms memory terms, uint32[] memory contributions)
        internal
        returns (uint64 study)
    {
        study = _running(terms, contributions.length);
        for (uint256 i = 0; i < terms.rounds; ++i) {
            _round(study, type(uint64).max >> (64 - contributions.length));
        }
        vm.prank(coordinator);
        rounds.finish(study, contributions, "evidence");
    }
}
