// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {SumDisputes} from "../src/SumDisputes.sol";
import {IMaskedRounds} from "../src/interfaces/IMaskedRounds.sol";
import {ISumDisputes} from "../src/interfaces/ISumDisputes.sol";
import {System} from "./base/System.sol";

/// @dev What the Rust library makes of a group is what the contract takes: the same seeds, and a refutation. The contract stands before
/// rounds that know this one group.
contract SumDisputesVectorsTest is System {
    string private _json;
    SumDisputes private _disputes;
    IMaskedRounds.Posted private _record;
    uint256 private _refutations;

    function setUp() public override {
        super.setUp();
        _json = vm.readFile("../testdata/masked-sum-v1.json");
        _disputes = SumDisputes(_deploy("SumDisputes", abi.encode(this)));
        _record.thresholdPercent = uint8(vm.parseJsonUint(_json, ".thresholdPercent"));
        _record.coordinates = uint32(vm.parseJsonUint(_json, ".coordinates"));
    }

    function test_refutation_ofTheSharedVectors() public {
        ISumDisputes.Group memory group = _group(".sum");
        for (uint256 i = 0; i < 4; ++i) {
            _disputes.openSeed(group, _secret(string.concat(".openSeeds[", vm.toString(i), "]")));
        }
        uint8[] memory survivors = new uint8[](4);
        (survivors[0], survivors[1], survivors[2], survivors[3]) = (0, 2, 3, 4);
        _disputes.openPairs(group, _secret(".openKeys[0]"), survivors);
        for (uint256 i = 0; i < 8; ++i) {
            string memory path = string.concat(".seeds[", vm.toString(i), "].");
            uint256 low = vm.parseJsonUint(_json, string.concat(path, "low"));
            uint256 high = vm.parseJsonUint(_json, string.concat(path, "high"));
            bytes32 expected = vm.parseJsonBytes32(_json, string.concat(path, "seed"));
            vm.assertEq(_disputes.seedOf(group.context, uint8(low), uint8(high)), expected);
        }
        ISumDisputes.Block[] memory masked = new ISumDisputes.Block[](4);
        for (uint256 i = 0; i < 4; ++i) {
            masked[i] = _block(string.concat(".masked[", vm.toString(i), "]"));
        }
        uint32 number = uint32(vm.parseJsonUint(_json, ".number"));
        _disputes.disputeSum(group, number, _block(".posted"), masked);
        vm.assertEq(_refutations, 1);
    }

    // As `MaskedRounds`

    function postedOf(uint64, uint32) external view returns (IMaskedRounds.Posted memory) {
        return _record;
    }

    function refute(uint64, uint32, uint8, uint32, address) external {
        ++_refutations;
    }

    // Reading

    function _group(string memory sum) private returns (ISumDisputes.Group memory group) {
        group.context = vm.parseJsonBytes32(_json, ".context");
        group.survivors = uint32(vm.parseJsonUint(_json, ".survivors"));
        group.sum = vm.parseJsonBytes32(_json, sum);
        group.seats = new ISumDisputes.Seat[](5);
        for (uint256 i = 0; i < 5; ++i) {
            string memory path = string.concat(".seats[", vm.toString(i), "].");
            group.seats[i] = ISumDisputes.Seat({
                key: vm.parseJsonBytes32(_json, string.concat(path, "key")),
                digestsRoot: vm.parseJsonBytes32(_json, string.concat(path, "digestsRoot")),
                uploadRoot: vm.parseJsonBytes32(_json, string.concat(path, "uploadRoot"))
            });
        }
        bytes32[] memory hashes = new bytes32[](1);
        hashes[0] = _disputes.hashOf(group);
        group.groups = hashes;
        _record.hash = keccak256(abi.encodePacked(hashes));
    }

    function _secret(string memory path) private view returns (ISumDisputes.Secret memory secret) {
        secret.place = uint8(vm.parseJsonUint(_json, string.concat(path, ".place")));
        secret.points = abi.decode(vm.parseJsonBytes(_json, string.concat(path, ".points")), (bytes32[3]));
        secret.path = _words(string.concat(path, ".path"));
        secret.shares = new ISumDisputes.Share[](3);
        for (uint256 i = 0; i < 3; ++i) {
            string memory at_ = string.concat(path, ".shares[", vm.toString(i), "]");
            ISumDisputes.Share memory share = secret.shares[i];
            share.place = uint8(vm.parseJsonUint(_json, string.concat(at_, ".place")));
            share.share = vm.parseJsonBytes32(_json, string.concat(at_, ".share"));
            share.others = abi.decode(vm.parseJsonBytes(_json, string.concat(at_, ".others")), (bytes32[2]));
            share.path = _words(string.concat(at_, ".path"));
        }
    }

    function _block(string memory path) private view returns (ISumDisputes.Block memory part) {
        part.words = abi.decode(vm.parseJsonBytes(_json, string.concat(path, ".words")), (bytes32[2]));
        part.path = _words(string.concat(path, ".path"));
    }

    function _words(string memory path) private view returns (bytes32[] memory words) {
        bytes memory bytes_ = vm.parseJsonBytes(_json, path);
        words = new bytes32[](bytes_.length / 32);
        for (uint256 i = 0; i < words.length; ++i) {
            assembly ("memory-safe") {
                mstore(add(add(words, 0x20), mul(0x20, i)), mload(add(add(bytes_, 0x20), mul(0x20, i))))
            }
        }
    }
}
