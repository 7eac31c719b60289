// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";

import {AssetRegistry} from "../src/AssetRegistry.sol";
import {ConsentRegistry} from "../src/ConsentRegistry.sol";
import {System} from "./base/System.sol";

/// @dev What an upgrade may look like: more functions, and storage of its own.
contract AssetRegistryNext is AssetRegistry {
    function edition() external pure returns (uint256) {
        return 2;
    }
}

contract UpgradeTest is System {
    bytes32 private constant IMPLEMENTATION = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;

    function test_upgrade_revertsForAnybodyButTheTimelock() public {
        AssetRegistryNext next = new AssetRegistryNext();
        vm.expectRevert(
            abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, address(this))
        );
        assets.upgradeToAndCall(address(next), "");
        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, stranger));
        vm.prank(stranger);
        consents.upgradeToAndCall(address(next), "");
    }

    function test_upgrade_takesTheTimelocksDelayAndKeepsWhatIsThere() public {
        uint64 dataset = _consented(0);
        bytes memory call =
            abi.encodeCall(UUPSUpgradeable.upgradeToAndCall, (address(new AssetRegistryNext()), ""));
        timelock.schedule(address(assets), 0, call, 0, 0, TIMELOCK_DELAY);
        vm.warp(block.timestamp + TIMELOCK_DELAY - 1);
        vm.expectRevert();
        timelock.execute(address(assets), 0, call, 0, 0);
        vm.warp(block.timestamp + 1);
        timelock.execute(address(assets), 0, call, 0, 0);

        vm.assertEq(AssetRegistryNext(address(assets)).edition(), 2);
        vm.assertEq(assets.assetCount(), 1);
        vm.assertEq(assets.ownerOf(dataset), _clinic(0));
        vm.assertEq(assets.asset(dataset).contentDigest, keccak256(abi.encode("rows", uint256(0))));
        vm.assertTrue(assets.isRegistrar(address(rounds)));
        vm.assertTrue(consents.isAllowed(dataset, PURPOSE));
        vm.assertEq(assets.owner(), address(timelock));
    }

    function test_upgrade_ofConsentsKeepsWhatIsThere() public {
        uint64 dataset = _consented(0);
        address next = _deploy("ConsentRegistry", abi.encode(assets));
        vm.prank(address(timelock));
        consents.upgradeToAndCall(next, "");
        vm.assertEq(address(uint160(uint256(vm.load(address(consents), IMPLEMENTATION)))), next);
        vm.assertTrue(consents.isAllowed(dataset, PURPOSE));
        vm.assertEq(consents.consent(dataset).epoch, 1);
    }

    function test_upgrade_revertsToWhatIsNoImplementation() public {
        vm.prank(address(timelock));
        vm.expectRevert();
        assets.upgradeToAndCall(address(token), "");
    }

    function test_initialize_revertsTheSecondTimeAndOnTheImplementation() public {
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        assets.initialize(stranger);
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        consents.initialize(stranger);
        address implementation = address(uint160(uint256(vm.load(address(assets), IMPLEMENTATION))));
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        AssetRegistry(implementation).initialize(stranger);
        implementation = address(uint160(uint256(vm.load(address(consents), IMPLEMENTATION))));
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        ConsentRegistry(implementation).initialize(stranger);
    }

    /// A registry that was there before ERC-4906 keeps its places: nothing new is stored.
    function test_upgrade_keepsTheUrisThatWereThere() public {
        uint64 dataset = _dataset(0);
        address next = _deploy("AssetRegistry", "");
        vm.prank(address(timelock));
        assets.upgradeToAndCall(next, "");
        vm.assertEq(assets.tokenURI(dataset), "blake3:manifest");
        vm.prank(_clinic(0));
        assets.setUri(dataset, "ipfs://bafy");
        vm.assertEq(assets.tokenURI(dataset), "ipfs://bafy");
    }

    function test_storage_isWhereErc7201PutsIt() public {
        uint64 dataset = _consented(0);
        // The count of assets is the first value of its namespace.
        vm.assertEq(vm.load(address(assets), _namespace("counterweight.storage.AssetRegistry")), bytes32(uint256(1)));
        // The consents are a mapping at the start of theirs.
        bytes32 record = vm.load(
            address(consents),
            keccak256(abi.encode(dataset, _namespace("counterweight.storage.ConsentRegistry")))
        );
        // tenure 1, epoch 1, no expiry, the purposes.
        vm.assertEq(record, bytes32(uint256(1) << 224 | uint256(1) << 200 | PURPOSES));
    }

    function _namespace(string memory name) private pure returns (bytes32) {
        return keccak256(abi.encode(uint256(keccak256(bytes(name))) - 1)) & ~bytes32(uint256(0xff));
    }
}
