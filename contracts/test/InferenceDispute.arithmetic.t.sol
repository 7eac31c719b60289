// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../src/interfaces/IInferenceDispute.sol";
import {IOpenModels} from "../src/interfaces/IOpenModels.sol";
import {Disputes} from "./base/Disputes.sol";
import {Networks} from "./base/Networks.sol";
import {Trees} from "./base/Trees.sol";

/// @dev One element of a layer, from openings: against the vectors that Rust and Python read, and against plain loops.
contract InferenceDisputeArithmeticTest is Disputes {
    using Networks for Networks.Network;

    function _recompute(Networks.Network memory network, bytes[] memory nodes, uint256 layer, uint256 element)
        private
        view
        returns (int256)
    {
        Question memory question = _question(network, nodes, layer, element);
        return models.recompute(
            network.architecture,
            uint8(layer),
            element,
            question.inputRoot,
            question.otherRoot,
            question.input,
            question.other
        );
    }

    struct Question {
        bytes32 inputRoot;
        bytes32 otherRoot;
        IOpenModels.Opening input;
        IOpenModels.Opening other;
    }

    function _question(Networks.Network memory network, bytes[] memory nodes, uint256 layer, uint256 element)
        private
        pure
        returns (Question memory question)
    {
        (IInferenceDispute.Opening memory input, IInferenceDispute.Opening memory second) =
            network.openStep(nodes, layer, element);
        question.input = IOpenModels.Opening(input.leaves, input.siblings);
        question.other = IOpenModels.Opening(second.leaves, second.siblings);
        bytes memory architecture = network.architecture;
        question.inputRoot = Trees.root(nodes[Networks.field(architecture, layer + 1, 1)]);
        if (Networks.field(architecture, layer + 1, 0) == 4) {
            question.otherRoot = Trees.root(nodes[Networks.field(architecture, layer + 1, 2)]);
        } else if (network.weights[layer].length != 0) {
            question.otherRoot = Trees.root(network.weights[layer]);
        }
    }

    function _element(bytes memory node, bool raw, uint256 element) private pure returns (int256) {
        if (!raw) return int8(uint8(node[element]));
        uint32 word = 0;
        for (uint256 i = 0; i < 4; ++i) {
            word = word << 8 | uint8(node[4 * element + i]);
        }
        return int32(word);
    }

    /// @dev First, last and some elements between of every layer of every network.
    function test_recompute_agreesWithTheVectors() public view {
        string memory file = vm.readFile("../testdata/arithmetic-v1.json");
        uint256 checked = 0;
        for (uint256 i = 0; vm.keyExistsJson(file, string.concat(".networks[", vm.toString(i), "]")); ++i) {
            checked += _checkNetwork(file, string.concat(".networks[", vm.toString(i), "]"));
        }
        vm.assertGe(checked, 500);
    }

    function _checkNetwork(string memory file, string memory key) private view returns (uint256) {
        Networks.Network memory network;
        network.architecture = _bytes(file, string.concat(key, ".architecture"));
        int256[] memory biases =
            abi.decode(vm.parseJsonTypeArray(file, string.concat(key, ".biases"), "int256"), (int256[]));
        bytes memory weights = _bytes(file, string.concat(key, ".weights"));
        network.weights = _rows(network.architecture, weights, biases);
        string[] memory lines = vm.parseJsonStringArray(file, string.concat(key, ".nodes"));
        bytes[] memory nodes = new bytes[](lines.length);
        for (uint256 i = 0; i < lines.length; ++i) {
            nodes[i] = vm.parseBytes(string.concat("0x", lines[i]));
        }
        return _compare(network, nodes);
    }

    function _bytes(string memory file, string memory key) private pure returns (bytes memory) {
        return vm.parseBytes(string.concat("0x", vm.parseJsonString(file, key)));
    }

    function _compare(Networks.Network memory network, bytes[] memory nodes) private view returns (uint256 checked) {
        for (uint256 layer = 0; layer + 1 < nodes.length; ++layer) {
            uint256 count = Networks.elements(network.architecture, layer + 1);
            bool raw = Networks.isRaw(network.architecture, layer + 1);
            uint256 stride = count < 4 ? 1 : count / 2;
            for (uint256 element = 0; element < count; element += stride) {
                vm.assertEq(
                    _recompute(network, nodes, layer, element), _element(nodes[layer + 1], raw, element), "element"
                );
                ++checked;
            }
            vm.assertEq(
                _recompute(network, nodes, layer, count - 1), _element(nodes[layer + 1], raw, count - 1), "last"
            );
        }
    }

    /// @dev Weights and biases as the vectors have them, in rows as trees have them.
    function _rows(bytes memory architecture, bytes memory weights, int256[] memory biases)
        private
        pure
        returns (bytes[] memory rows)
    {
        rows = new bytes[](Networks.layers(architecture));
        uint256 weight = 0;
        uint256 bias = 0;
        for (uint256 layer = 0; layer < rows.length; ++layer) {
            if (!Networks.isWeighted(architecture, layer)) continue;
            (rows[layer], weight, bias) = _layerRows(architecture, layer, weights, biases, weight, bias);
        }
        require(weight == weights.length && bias == biases.length, "not all weights used");
    }

    function _layerRows(
        bytes memory architecture,
        uint256 layer,
        bytes memory weights,
        int256[] memory biases,
        uint256 weight,
        uint256 bias
    ) private pure returns (bytes memory rows, uint256, uint256) {
        uint256 terms = Networks.terms(architecture, layer);
        uint256 length = Networks.rowBytes(architecture, layer);
        rows = new bytes(Networks.rows(architecture, layer) * length);
        for (uint256 start = 0; start < rows.length; start += length) {
            for (uint256 i = 0; i < terms; ++i) {
                rows[start + i] = weights[weight++];
            }
            if (Networks.field(architecture, layer + 1, 6) != 0) {
                _putDigits(architecture, layer, rows, start + terms, biases[bias++]);
            }
        }
        return (rows, weight, bias);
    }

    function _putDigits(bytes memory architecture, uint256 layer, bytes memory rows, uint256 place, int256 bias)
        private
        pure
    {
        int256 rest = bias >> Networks.field(architecture, layer + 1, 5);
        for (uint256 k = 0; k < Networks.field(architecture, layer + 1, 6); ++k) {
            int8 digit = int8(uint8(uint256(rest) & 0xff));
            rows[place + k] = bytes1(uint8(digit));
            rest = (rest - digit) >> 8;
        }
        require(rest == 0, "a bias has no digits");
    }

    function test_register_refusesWhatEveryReaderRefuses() public {
        string memory file = vm.readFile("../testdata/arithmetic-v1.json");
        uint256 refused = 0;
        for (string memory key = ".refused.cases[0]"; vm.keyExistsJson(file, key);) {
            bytes memory architecture = _bytes(file, string.concat(key, ".architecture"));
            (bool accepted, bytes memory answer) =
                address(models).call(abi.encodeCall(models.register, (architecture, new bytes32[](0))));
            vm.assertFalse(accepted, key);
            vm.assertTrue(bytes4(answer) == bytes4(keccak256("InvalidArchitecture(uint256,uint8)")), key);
            key = string.concat(".refused.cases[", vm.toString(++refused), "]");
        }
        vm.assertGe(refused, 10);
        bytes memory good = _bytes(file, ".refused.accepted");
        vm.expectRevert(abi.encodeWithSelector(IOpenModels.WrongNumberOfRoots.selector, Networks.layers(good), 0));
        models.register(good, new bytes32[](0));
    }

    function testFuzz_recompute_agreesWithPlainLoops(bytes32 seed, uint256 layer, uint256 element) public view {
        Networks.Network memory network = Networks.make(_everyKind(), seed);
        // A layer does not care where its input came from.
        bytes[] memory nodes = new bytes[](7);
        for (uint256 node = 0; node < 6; ++node) {
            nodes[node] = Networks.numbers(keccak256(abi.encode(seed, node)), Networks.elements(network.architecture, node));
        }
        layer = _bound(layer, 0, 5);
        element = _bound(element, 0, Networks.elements(network.architecture, layer + 1) - 1);
        int256 truth = network.value(nodes, layer, element);
        vm.assertEq(_recompute(network, nodes, layer, element), truth);
    }
}
