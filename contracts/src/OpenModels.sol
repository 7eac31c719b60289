// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "./interfaces/IInferenceDispute.sol";
import {IOpenModels} from "./interfaces/IOpenModels.sol";
import {Architecture} from "./libraries/Architecture.sol";
import {Neuron} from "./libraries/Neuron.sol";

/// @title OpenModels
/// @notice See {IOpenModels}. Not upgradeable, without an owner.
contract OpenModels is IOpenModels {
    using Architecture for bytes;
    using Architecture for Architecture.Layer;
    using Architecture for Architecture.Shape;

    mapping(bytes32 model => Model) private _models;

    /// @inheritdoc IOpenModels
    function register(bytes calldata architecture, bytes32[] calldata weightRoots) external returns (bytes32 model) {
        architecture.check();
        uint256 layers = architecture.layers();
        if (weightRoots.length != layers) revert WrongNumberOfRoots(layers, weightRoots.length);
        for (uint256 i = 0; i < layers; ++i) {
            // A root that stands for nothing is zero, so that a model has one id.
            bool weighted = architecture.layer(i).weightBytes() != 0;
            if (weighted == (weightRoots[i] == 0)) revert RootOfNothing(i);
        }
        model = Architecture.modelId(architecture, weightRoots);
        if (_models[model].layers != 0) return model;
        // Checked: at most 64 layers, and 2^20 elements of four bytes.
        _models[model] = Model({
            layers: uint8(layers),
            inputBytes: uint32(architecture.bytesOf(0)),
            outputBytes: uint32(architecture.bytesOf(layers))
        });
        emit OpenModelRegistered(model, msg.sender, architecture, weightRoots);
    }

    /// @inheritdoc IOpenModels
    function recompute(
        bytes calldata architecture,
        uint8 layer,
        uint256 element,
        bytes32 inputRoot,
        bytes32 otherRoot,
        Opening calldata input,
        Opening calldata other
    ) external pure returns (int256) {
        architecture.check();
        if (layer >= architecture.layers()) revert NotRecomputable(layer, element);
        Architecture.Layer memory self = architecture.layer(layer);
        if (element >= self.output.elements() || Neuron.tiles(self) != 1) revert NotRecomputable(layer, element);
        return Neuron.recompute(self, element, inputRoot, otherRoot, _same(input), _same(other));
    }

    /// @inheritdoc IOpenModels
    function modelOf(bytes32 model) external view returns (Model memory) {
        return _models[model];
    }

    /// @dev Interfaces are read one by one, so each has its own of this struct: two fields, the same in both.
    function _same(Opening calldata opening) private pure returns (IInferenceDispute.Opening calldata same) {
        assembly ("memory-safe") {
            same := opening
        }
    }
}
