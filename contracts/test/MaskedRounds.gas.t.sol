// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ISumDisputes} from "../src/interfaces/ISumDisputes.sol";
import {MaskMembers} from "./base/MaskMembers.sol";
import {Sha256Trees} from "./base/Sha256Trees.sol";

/// @dev What each step of a masked round and the whole dispute of a wrong sum cost, with their transactions: `npm run gas` writes
/// gas.json, `npm test` compares. The vectors have 37 words; a vector of 2^20 words has paths of 16 hashes where these have 2.
contract MaskedRoundsGasTest is MaskMembers {
    function test_gas_steps() public {
        uint64 study = _enrolling(16);
        _configure(study, _setting(8));
        _snapshot("configure");
        vm.prank(coordinator);
        rounds.start(study);
        _openRound(study);
        _round(study, 1, "");
        _close(study, 0xffff);
        _openRound(study);
        _round(study, 2, ", again");
    }

    /// @dev Two groups of eight; the first round makes the slots that the second uses again.
    function _round(uint64 study, uint32 round, string memory suffix) private {
        _announce(study, 0);
        _snapshot(string.concat("announce, first", suffix));
        _announce(study, 1);
        _snapshot(string.concat("announce", suffix));
        for (uint256 i = 2; i < 16; ++i) {
            _announce(study, i);
        }
        vm.roll(block.number + 1);
        vm.setBlockhash(block.number - 1, "hash");
        masks.draw(study, round);
        _snapshot(string.concat("draw", suffix));
        Party[] memory parties = _parties(study);
        for (uint256 i = 0; i < 16; ++i) {
            _deal(parties[i / 8], i % 8);
        }
        _snapshot(string.concat("deal", suffix));
        for (uint256 i = 0; i < 16; ++i) {
            uint8 member = parties[i / 8].members[i % 8];
            _commit(study, member);
            vm.prank(_clinic(member));
            masks.upload(study, round, member, "vector");
            parties[i / 8].survivors |= uint32(1) << uint32(i % 8);
        }
        _snapshot(string.concat("upload", suffix));
        _fix(study, parties);
        _snapshot(string.concat("fixSurvivors, 2 groups of 8", suffix));
        for (uint256 i = 0; i < 16; ++i) {
            _unmask(parties[i / 8], i % 8);
        }
        _snapshot(string.concat("unmask", suffix));
        bytes32[] memory sums = new bytes32[](2);
        (sums[0], sums[1]) = ("one", "other");
        _post(study, round, sums);
        _snapshot(string.concat("postSums, 2 groups of 8", suffix));
    }

    function test_gas_disputeOfFour() public {
        _dispute(4);
    }

    function test_gas_disputeOfEight() public {
        _dispute(8);
    }

    function test_gas_disputeOfSixteen() public {
        _dispute(16);
    }

    function test_gas_demands() public {
        uint64 study = _masking(4, 4);
        _drawn(study, 15);
        Party[] memory parties = _upToShares(study, 0, 0);
        bytes32[] memory sums = _honestSums(parties);
        _post(study, 1, sums);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        uint128 deposit = disputes.depositOf(study);
        _fund(stranger, address(disputes), 2 * uint256(deposit));
        vm.prank(stranger);
        disputes.demand(group, 0);
        _snapshotOf("SumDisputes.demand", ", group of 4");
        disputes.answer(group, 0, _block(_sum(parties[0]), 0));
        _snapshotOf("SumDisputes.answer", ", group of 4");
        vm.prank(stranger);
        disputes.demand(group, 1);
        vm.warp(block.timestamp + DISPUTE_SECONDS + 1);
        disputes.settle(study, 1, 0, 1);
        _snapshotOf("SumDisputes.settle", ", refuting");
    }

    /// @dev One member dealt and dropped out. The whole is every transaction that a challenger sends.
    function _dispute(uint8 size) private {
        uint64 study = _masking(size, size);
        _drawn(study, type(uint64).max >> (64 - size));
        Party[] memory parties = _upToShares(study, 0, 2);
        bytes[] memory wrong = _sum(parties[0]);
        wrong[1][0] ^= 0x01;
        bytes32[] memory sums = new bytes32[](1);
        sums[0] = Sha256Trees.root(wrong);
        _post(study, 1, sums);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        string memory of_ = string.concat(", group of ", vm.toString(uint256(size)));
        uint256 whole = 0;
        uint8[] memory survivors = new uint8[](size - 1);
        for (uint8 place = 0; place < size; ++place) {
            if (place == 1) continue;
            survivors[place == 0 ? 0 : place - 1] = place;
            disputes.openSeed(group, _open(parties[0], place, 2));
            whole += vm.lastCallGas().gasTotalUsed;
            if (place == 0) _snapshotOf("SumDisputes.openSeed", of_);
        }
        disputes.openPairs(group, _open(parties[0], 1, 1), survivors);
        whole += vm.lastCallGas().gasTotalUsed;
        _snapshotOf("SumDisputes.openPairs, all survivors", of_);
        ISumDisputes.Block memory posted = _block(wrong, 1);
        ISumDisputes.Block[] memory masked = _maskedBlocks(parties[0], 1);
        vm.prank(stranger);
        disputes.disputeSum(group, 1, posted, masked);
        whole += vm.lastCallGas().gasTotalUsed;
        _snapshotOf("SumDisputes.disputeSum", of_);
        vm.snapshotValue("gas", string.concat("SumDisputes, whole dispute, one dropped", of_), whole);
    }

    function _snapshot(string memory name) private {
        vm.snapshotGasLastCall("gas", string.concat("MaskedRounds.", name));
    }

    function _snapshotOf(string memory name, string memory suffix) private {
        vm.snapshotGasLastCall("gas", string.concat(name, suffix));
    }
}
