// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../src/interfaces/IInferenceDispute.sol";
import {Disputes} from "./base/Disputes.sol";
import {Networks} from "./base/Networks.sol";
import {Trees} from "./base/Trees.sol";

/// @dev Layers longer than a block, and rows of more than one tile.
contract InferenceDisputeLargeTest is Disputes {
    using Networks for Networks.Network;

    uint256 private constant SIDE = 130;

    /// @dev A 1x1 convolution to 16,900 elements, two blocks, then rows of 16,900 terms, five tiles. Weights and nodes that
    /// nothing looks at are zeros.
    function _claimLarge(bool convLies, bool denseLies) private returns (Played memory played) {
        played.network.architecture = abi.encodePacked(
            Networks.header(2, 1, uint16(SIDE), uint16(SIDE)),
            Networks.conv(0, 7, 1, 0, 1, uint16(SIDE), uint16(SIDE)),
            Networks.dense(1, 1, 0, 3, 1)
        );
        played.network.weights = new bytes[](2);
        played.network.weights[0] = hex"4000000000000000000000000000000000000000000000000000000000000000";
        played.network.weights[1] = new bytes(16_928);
        // Terms 0, 4,095, 4,096 and 16,899, and the digits of the bias.
        played.network.weights[1][0] = 0x05;
        played.network.weights[1][4095] = 0x06;
        played.network.weights[1][4096] = 0x07;
        played.network.weights[1][16_899] = 0x80;
        played.network.weights[1][16_900] = 0x10;
        played.network.weights[1][16_902] = 0xff;
        played.nodes = new bytes[](3);
        played.nodes[0] = new bytes(SIDE * SIDE);
        played.nodes[1] = new bytes(SIDE * SIDE);
        uint256[4] memory places = [uint256(0), 4095, 4096, 16_899];
        for (uint256 i = 0; i < 4; ++i) {
            played.nodes[0][places[i]] = bytes1(uint8(100 + i));
            played.nodes[1][places[i]] = bytes1(uint8(50 + (i + 1) / 2));
        }
        // 100 and 101 * 64 / 128, halves up: 50, 51; 102, 103: 51, 52.
        if (convLies) played.nodes[1][16_899] = 0x35;
        int256 total = 5 * 50 + 6 * 51 + 7 * 51 - 128 * int256(convLies ? int256(53) : int256(52)) + 16 - 65_536;
        played.nodes[2] = new bytes(4);
        Networks.put(played.nodes[2], true, 0, denseLies ? total + 1 : total);
        _claim(played, _terms(), false);
    }

    function _sums() private pure returns (int32[] memory sums) {
        sums = new int32[](5);
        sums[0] = 5 * 50 + 6 * 51;
        sums[1] = 7 * 51;
        sums[4] = -128 * 52;
    }

    function _give(Played memory played, uint256 index, int32[] memory sums) private {
        IInferenceDispute.Opening memory output = Networks.openElement(played.nodes[2], true, 0);
        IInferenceDispute.Opening memory bias = played.network.openRow(1, 0, 16_900, 16_903);
        vm.prank(claimant);
        dispute.sum(played.game, index, 0, sums, output, bias);
    }

    function _openTile(Played memory played, uint256 tile)
        private
        pure
        returns (IInferenceDispute.Opening memory input, IInferenceDispute.Opening memory row)
    {
        uint256 to = tile == 4 ? 16_900 : 4096 * (tile + 1);
        input = Trees.openBytes(played.nodes[1], 4096 * tile, to);
        row = played.network.openRow(1, 0, 4096 * tile, to);
    }

    function _stepTile(Played memory played, uint256 index, int32[] memory sums, uint256 tile) private {
        (IInferenceDispute.Opening memory input, IInferenceDispute.Opening memory row) = _openTile(played, tile);
        dispute.stepTile(played.game, index, 0, sums, tile, input, row);
    }

    function test_split_findsALieInALayerLongerThanABlock() public {
        Played memory played = _claimLarge(true, false);
        uint256 index = _challenge(played, challenger, 0);
        _assertPhase(played.id, index, IInferenceDispute.Phase.Split);
        bytes32[] memory tops = Trees.tops(played.nodes[1]);
        tops[1] ^= bytes32(uint256(1));
        vm.expectPartialRevert(IInferenceDispute.RootMismatch.selector);
        dispute.split(played.game, index, tops);
        tops[1] ^= bytes32(uint256(1));
        dispute.split(played.game, index, tops);
        vm.prank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.OutOfRange.selector, 2, 2));
        dispute.pick(played.game, index, 2);
        vm.prank(challenger);
        dispute.pick(played.game, index, 1);
        bytes32[] memory path = Trees.blockPath(played.nodes[1], 1);
        bytes memory wrong = Trees.slice(played.nodes[1], 0, 516);
        vm.expectPartialRevert(IInferenceDispute.RootMismatch.selector);
        dispute.reveal(played.game, index, wrong, path);
        _reveal(played, index);
        _step(played, index, 0, 16_899);
        _assertChallengerWon(played.id, challenger);
    }

    function test_sum_cannotHideALie() public {
        Played memory played = _claimLarge(false, true);
        uint256 index = _challenge(played, challenger, 1);
        _reveal(played, index);
        vm.prank(challenger);
        dispute.point(played.game, index, 0);
        int32[] memory sums = _sums();
        // The true sums do not make what was claimed.
        IInferenceDispute.Opening memory output = Networks.openElement(played.nodes[2], true, 0);
        IInferenceDispute.Opening memory bias = played.network.openRow(1, 0, 16_900, 16_903);
        vm.prank(claimant);
        vm.expectPartialRevert(IInferenceDispute.SumsDisagree.selector);
        dispute.sum(played.game, index, 0, sums, output, bias);
        sums[3] += 1;
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.NotYourMove.selector, claimant, stranger));
        dispute.sum(played.game, index, 0, sums, output, bias);
        _give(played, index, sums);
        _stepTile(played, index, sums, 3);
        _assertChallengerWon(played.id, challenger);
    }

    function test_stepTile_findsNoFaultInTrueSums() public {
        Played memory played = _claimLarge(false, false);
        uint256 index = _challenge(played, challenger, 1);
        _reveal(played, index);
        vm.prank(challenger);
        dispute.point(played.game, index, 0);
        int32[] memory sums = _sums();
        _give(played, index, sums);
        for (uint256 tile = 0; tile < 5; ++tile) {
            (IInferenceDispute.Opening memory input, IInferenceDispute.Opening memory row) =
                _openTile(played, tile);
            vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.NoFault.selector, int256(sums[tile])));
            dispute.stepTile(played.game, index, 0, sums, tile, input, row);
        }
        uint64 deadline = dispute.challengeOf(played.id, index).deadline;
        vm.warp(deadline + 1);
        dispute.settle(played.game.claim, index);
        _assertPhase(played.id, index, IInferenceDispute.Phase.ClaimantWon);
    }

    function test_silence_atSplitPickPointAndSumIsSettled() public {
        Played memory played = _claimLarge(false, false);
        uint256 atPick = _challenge(played, challenger, 0);
        dispute.split(played.game, atPick, Trees.tops(played.nodes[1]));
        uint256 atSplit = _challenge(played, other, 0);
        uint256 atTile = _challenge(played, challenger, 1);
        _reveal(played, atTile);
        vm.prank(challenger);
        dispute.point(played.game, atTile, 0);
        _give(played, atTile, _sums());
        vm.warp(START + RESPONSE + 1);
        dispute.settle(played.game.claim, atPick);
        _assertPhase(played.id, atPick, IInferenceDispute.Phase.ClaimantWon);
        dispute.settle(played.game.claim, atTile);
        _assertPhase(played.id, atTile, IInferenceDispute.Phase.ClaimantWon);
        dispute.settle(played.game.claim, atSplit);
        _assertPhase(played.id, atSplit, IInferenceDispute.Phase.ChallengerWon);
        _assertCredit(other, CLAIM_BOND - _burntOf(CLAIM_BOND) + CHALLENGE_BOND);
    }

    function test_silence_atSumLosesTheClaim() public {
        Played memory played = _claimLarge(false, false);
        uint256 index = _challenge(played, challenger, 1);
        _reveal(played, index);
        vm.prank(challenger);
        dispute.point(played.game, index, 0);
        vm.warp(START + RESPONSE + 1);
        dispute.settle(played.game.claim, index);
        _assertChallengerWon(played.id, challenger);
    }

    function test_demand_publishesTheBlockThatWasAskedFor() public {
        Played memory played = _claimLarge(false, false);
        vm.prank(challenger);
        uint256 index = dispute.demand{value: CHALLENGE_BOND}(played.game, 1, 1);
        bytes memory rows = played.network.weights[1];
        bytes32[] memory path = Trees.blockPath(rows, 1);
        bytes memory first = Trees.slice(rows, 0, 16_384);
        vm.expectPartialRevert(IInferenceDispute.RootMismatch.selector);
        dispute.publish(played.game, index, first, path);
        dispute.publish(played.game, index, Trees.slice(rows, 16_384, 16_928), path);
        _assertPhase(played.id, index, IInferenceDispute.Phase.Name);
    }
}
