// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {AssetRegistry} from "../../src/AssetRegistry.sol";
import {ConsentRegistry} from "../../src/ConsentRegistry.sol";
import {TrainingRounds} from "../../src/TrainingRounds.sol";
import {ITrainingRounds} from "../../src/interfaces/ITrainingRounds.sol";
import {Test} from "../base/Test.sol";

/// @title Sponsors, a coordinator, clinics and strangers doing what they like with studies
/// @dev Keeps its own simple record of what stewards allow, to judge the contracts by.
contract RoundsHandler is Test {
    uint8 internal constant PURPOSE = 2;

    struct Word {
        bool given;
        uint64 expiry;
    }

    TrainingRounds private immutable _rounds;
    AssetRegistry private immutable _assets;
    ConsentRegistry private immutable _consents;
    address private immutable _token;
    address private immutable _coordinator;
    address[] private _people;
    uint64[] private _datasets;

    mapping(uint64 dataset => Word) private _words;

    /// @notice Joins and commitments that no steward's word covered
    uint256 public violations;
    /// @notice Rounds that closed with less privacy spent than the one before
    uint256 public refunds;
    /// @notice Studies that came to each phase, to see that the runs go anywhere
    mapping(ITrainingRounds.Phase phase => uint256) public reached;

    constructor(
        TrainingRounds rounds,
        AssetRegistry assets,
        ConsentRegistry consents,
        address token,
        address coordinator,
        address[] memory people,
        uint64[] memory datasets
    ) {
        _rounds = rounds;
        _assets = assets;
        _consents = consents;
        _token = token;
        _coordinator = coordinator;
        _people = people;
        _datasets = datasets;
    }

    function open(uint256 person, uint128 budget, uint128 bond, uint8 members, uint32 planned, uint32 capPpm)
        external
    {
        if (_rounds.studyCount() >= 6) return;
        ITrainingRounds.Terms memory terms;
        terms.token = _token;
        terms.coordinator = _coordinator;
        terms.budget = uint128(_bound(budget, 0, 1e24));
        terms.bond = uint128(_bound(bond, 0, 1e20));
        terms.purpose = PURPOSE;
        terms.termsDigest = "terms";
        terms.maxMembers = uint8(_bound(members, 1, 8));
        terms.minMembers = uint8(_bound(members / 8, 1, terms.maxMembers < 3 ? terms.maxMembers : 3));
        terms.rounds = uint32(_bound(planned, 1, 3));
        terms.roundSeconds = 600;
        terms.closeSeconds = 300;
        terms.enrolUntil = uint64(block.timestamp + 1 hours);
        terms.finishBy = uint64(block.timestamp + 8 hours);
        terms.memberCapPpm = uint32(_bound(capPpm, 1, 1_000_000));
        terms.lineageSharePpm = capPpm % 1_000_001;
        terms.epsilonBudget = capPpm % 3 * 500_000;
        vm.prank(_person(person));
        _rounds.open(terms);
        ++reached[ITrainingRounds.Phase.Enrolling];
    }

    function join(uint256 which, uint256 dataset) public {
        uint64 study = _study(which);
        uint64 id = _datasets[dataset % _datasets.length];
        vm.prank(_assets.ownerOf(id));
        _rounds.join(study, id);
        _judge(id);
    }

    function joinAll(uint256 which) external {
        for (uint256 i = 0; i < _datasets.length; ++i) {
            try this.join(which, i) {} catch {}
        }
    }

    function start(uint256 which, uint256 person) external {
        uint64 study = _study(which);
        vm.prank(person % 2 == 0 ? _coordinator : _person(person));
        _rounds.start(study);
        ++reached[ITrainingRounds.Phase.Running];
    }

    function openRound(uint256 which) public {
        uint64 study = _study(which);
        bytes32 last = _rounds.study(study).result;
        vm.prank(_coordinator);
        _rounds.openRound(study, last == 0 ? bytes32("base") : last);
    }

    function commit(uint256 which, uint256 member) public {
        uint64 study = _study(which);
        ITrainingRounds.Study memory state = _rounds.study(study);
        uint8 index = uint8(member % (uint256(state.memberCount) + 1));
        (address account, uint64 dataset) = _account(study, index, state.memberCount);
        vm.prank(account);
        _rounds.commitUpdate(study, state.round, index, keccak256(abi.encode(member)));
        _judge(dataset);
    }

    function close(uint256 which, uint64 mask) public {
        uint64 study = _study(which);
        ITrainingRounds.Study memory state = _rounds.study(study);
        uint64 survivors = mask % 3 == 0 ? mask : state.committed;
        vm.prank(_coordinator);
        // Now and then less than before, and often enough more than there is.
        uint64 spent = mask % 7 == 0 ? 0 : state.spentEpsilon + mask % 400_000;
        _rounds.closeRound(study, state.round, survivors, keccak256(abi.encode(mask)), spent);
        if (spent < state.spentEpsilon) ++refunds;
    }

    /// @dev A round that goes well, so that runs get far.
    function playRound(uint256 which) external {
        openRound(which);
        uint8 count = _rounds.study(_study(which)).memberCount;
        for (uint8 i = 0; i < count; ++i) {
            try this.commit(which, i) {} catch {}
        }
        close(which, 1);
    }

    function expire(uint256 which) external {
        _rounds.expireRound(_study(which));
    }

    function finish(uint256 which, uint32[8] calldata weights) external {
        uint64 study = _study(which);
        uint32[] memory contributions = new uint32[](_rounds.study(study).memberCount);
        for (uint256 i = 0; i < contributions.length; ++i) {
            contributions[i] = uint32(_bound(weights[i], 0, 1_000_000 / contributions.length));
        }
        vm.prank(_coordinator);
        _rounds.finish(study, contributions, "evidence");
        ++reached[ITrainingRounds.Phase.Finished];
    }

    function cancel(uint256 which, uint256 person) external {
        // Rarely, or nothing else would ever happen.
        if (person % 4 != 0) return;
        uint64 study = _study(which);
        vm.prank(_person(person / 4));
        _rounds.cancel(study);
        ++reached[ITrainingRounds.Phase.Cancelled];
    }

    function abandon(uint256 which) external {
        _rounds.abandon(_study(which));
        ++reached[ITrainingRounds.Phase.Abandoned];
    }

    function claim(uint256 which, uint8 member) external {
        _rounds.claim(_study(which), member % 8);
    }

    function returnBudget(uint256 which) external {
        _rounds.returnBudget(_study(which));
    }

    function publishModel(uint256 which) external {
        uint64 study = _study(which);
        ITrainingRounds.Study memory state = _rounds.study(study);
        vm.prank(state.sponsor);
        _rounds.publishModel(study, state.result, "manifest", 0, 0, "");
    }

    function grant(uint256 dataset, uint160 purposes, uint64 seconds_) external {
        uint64 id = _datasets[dataset % _datasets.length];
        uint64 expiry = seconds_ % 2 == 0 ? 0 : uint64(block.timestamp + 1 + seconds_ % 6 hours);
        purposes |= uint160(seconds_ % 5 == 0 ? 0 : 1 << PURPOSE);
        vm.prank(_assets.ownerOf(id));
        _consents.grant(id, purposes, expiry);
        _words[id] = Word({given: purposes >> PURPOSE & 1 == 1, expiry: expiry});
    }

    function revoke(uint256 dataset, uint160 purposes) external {
        uint64 id = _datasets[dataset % _datasets.length];
        vm.prank(_assets.ownerOf(id));
        _consents.revoke(id, purposes);
        if (purposes >> PURPOSE & 1 == 1) _words[id].given = false;
    }

    function transfer(uint256 dataset, uint256 person) external {
        uint64 id = _datasets[dataset % _datasets.length];
        address owner = _assets.ownerOf(id);
        vm.prank(owner);
        _assets.transferFrom(owner, _person(person), id);
        _words[id].given = false;
    }

    function warp(uint256 seconds_) external {
        vm.warp(block.timestamp + _bound(seconds_, 1, seconds_ % 8 == 0 ? 9 hours : 1000));
    }

    function _judge(uint64 dataset) private {
        Word memory word = _words[dataset];
        if (!word.given || (word.expiry != 0 && word.expiry <= block.timestamp)) ++violations;
    }

    function _account(uint64 study, uint8 index, uint8 count) private view returns (address, uint64) {
        if (index >= count) return (_coordinator, 0);
        ITrainingRounds.Member memory member = _rounds.member(study, index);
        return (member.account, member.dataset);
    }

    function _study(uint256 which) private view returns (uint64) {
        uint64 count = _rounds.studyCount();
        return count == 0 ? 0 : uint64(which % count + 1);
    }

    function _person(uint256 person) private view returns (address) {
        return _people[person % _people.length];
    }
}
