// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../src/interfaces/IInferenceDispute.sol";
import {Disputes} from "./base/Disputes.sol";
import {Networks} from "./base/Networks.sol";
import {Trees} from "./base/Trees.sol";

/// @dev What each hot call of a dispute costs, with its transaction: `npm run gas` writes gas.json, `npm test` compares.
contract InferenceDisputeGasTest is Disputes {
    using Networks for Networks.Network;

    string private constant FILE = "gas";

    function _snapshot(string memory name) private {
        vm.snapshotGasLastCall(FILE, string.concat("InferenceDispute.", name));
    }

    /// @dev A layer of 10 rows of `terms` terms, and one that reads it. All nodes are made up, so every element is wrong.
    function _dense(uint16 terms) private pure returns (Played memory played) {
        played.network = Networks.make(
            abi.encodePacked(
                Networks.header(2, terms, 1, 1),
                Networks.dense(0, 3, terms > 500 ? 12 : 9, 2, 10),
                Networks.dense(1, 1, 0, 2, 10)
            ),
            "weights"
        );
        _makeUp(played);
    }

    /// @dev The second convolution of LeNet-5: windows of 6 planes of 5 rows of 5.
    function _lenet() private pure returns (Played memory played) {
        played.network = Networks.make(
            abi.encodePacked(
                Networks.header(2, 6, 14, 14),
                Networks.conv(0, 10, 5, 0, 16, 10, 10),
                Networks.dense(1, 1, 0, 2, 10)
            ),
            "weights"
        );
        _makeUp(played);
    }

    function _makeUp(Played memory played) private pure {
        bytes memory architecture = played.network.architecture;
        played.nodes = new bytes[](Networks.layers(architecture) + 1);
        for (uint256 node = 0; node < played.nodes.length; ++node) {
            uint256 size = Networks.isRaw(architecture, node) ? 4 : 1;
            played.nodes[node] = Networks.numbers(bytes32(node), size * Networks.elements(architecture, node));
        }
    }

    /// @dev An element that is not what the layer gives.
    function _wrongElement(Played memory played) private pure returns (uint256 element) {
        bytes memory node = played.nodes[1];
        while (int8(uint8(node[element])) == played.network.value(played.nodes, 0, element)) ++element;
    }

    function _stepOf(Played memory played, string memory name) private {
        _claim(played);
        uint256 index = _challenge(played, challenger, 0);
        _reveal(played, index);
        uint256 element = _wrongElement(played);
        (
            IInferenceDispute.Opening memory output,
            IInferenceDispute.Opening memory input,
            IInferenceDispute.Opening memory second
        ) = _openings(played, 0, element);
        dispute.step(played.game, index, element, output, input, second);
        _snapshot(name);
        _assertChallengerWon(played.id, challenger);
    }

    function test_gas_step() public {
        _stepOf(_dense(64), "step, 64 terms");
    }

    function test_gas_step_convolution() public {
        _stepOf(_lenet(), "step, 150 terms of a window");
    }

    function test_gas_step_wide() public {
        _stepOf(_dense(784), "step, 784 terms");
    }

    function test_gas_step_tile() public {
        _stepOf(_dense(4096), "step, 4,096 terms");
    }

    function test_gas_game() public {
        Played memory played = _dense(784);
        played.game.architecture = played.network.architecture;
        played.game.weightRoots = Networks.roots(played.network.weights);
        models.register(played.game.architecture, played.game.weightRoots);
        vm.snapshotGasLastCall(FILE, "OpenModels.register, 2 layers");
        bytes32[] memory roots = Networks.roots(played.nodes);
        bytes32 model = models.register(played.game.architecture, played.game.weightRoots);
        IInferenceDispute.Terms memory terms = _terms();
        bytes memory input = played.nodes[0];
        bytes memory output = played.nodes[2];
        vm.prank(other);
        dispute.claimOpen{value: CLAIM_BOND}(model, CONTEXT, terms, roots, input, output);
        _snapshot("claimOpen, input of 784");
        vm.warp(START + 1);
        _claim(played, terms, false);
        _snapshotGame(played);
    }

    function _snapshotGame(Played memory played) private {
        vm.prank(challenger);
        dispute.challenge{value: CHALLENGE_BOND}(played.game, 0);
        _snapshot("challenge");
        bytes memory node = played.nodes[1];
        dispute.reveal(played.game, 0, node, new bytes32[](0));
        _snapshot("reveal, 10 elements");
        vm.prank(challenger);
        dispute.demand{value: CHALLENGE_BOND}(played.game, 0, 0);
        _snapshot("demand");
        bytes memory rows = played.network.weights[0];
        dispute.publish(played.game, 1, rows, new bytes32[](0));
        _snapshot("publish, 8,000 bytes");
        vm.warp(START + RESPONSE + 2);
        dispute.settle(played.game.claim, 0);
        _snapshot("settle, claimant wins");
        dispute.settle(played.game.claim, 1);
        vm.warp(START + WINDOW + 2);
        dispute.finalise(played.game.claim);
        _snapshot("finalise");
        vm.prank(claimant);
        dispute.withdraw(payable(claimant));
        _snapshot("withdraw");
    }

    function test_gas_sealed() public {
        bytes32 model = _sealedModel();
        IInferenceDispute.Terms memory terms = _terms();
        bytes32 input = Trees.root(_input());
        vm.prank(claimant);
        dispute.claimSealed{value: CLAIM_BOND}(
            IInferenceDispute.Lane.Sealed, model, "another job", terms, input, "output"
        );
        _snapshot("claimSealed");
        (IInferenceDispute.Claim memory claim, bytes32 id) =
            _sealed(IInferenceDispute.Lane.Sealed, terms, "output");
        vm.prank(challenger);
        dispute.challengeSealed{value: CHALLENGE_BOND}(claim);
        _snapshot("challengeSealed");
        vm.warp(START + RESPONSE + 1);
        dispute.settle(claim, 0);
        _snapshot("settle, challenger wins");
        _assertChallengerWon(id, challenger);
    }
}
