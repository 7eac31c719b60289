// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Models with public weights
/// @notice A model is an architecture and the roots of its weights' trees (docs/spec/dispute.md); its id commits to both. An
/// architecture is checked once, here, so that games over claims may trust its bytes. Nobody owns a model.
interface IOpenModels {
    /// @notice What a claim about a model must fit
    /// @param layers Number of layers, zero where there is no such model
    /// @param inputBytes Bytes of the input
    /// @param outputBytes Bytes of the output
    struct Model {
        uint8 layers;
        uint32 inputBytes;
        uint32 outputBytes;
    }

    /// @notice Leaves of a tree with what ties them to its root
    /// @param leaves 32 bytes each, in order; which ones they are follows from the question
    /// @param siblings Nodes that cannot be computed, level by level from the leaves up, from left to right
    struct Opening {
        bytes leaves;
        bytes32[] siblings;
    }

    /// @notice Emitted once for each model
    /// @param model Its id
    /// @param registrant Who registered it; this gives no rights
    /// @param architecture Bytes of the architecture
    /// @param weightRoots Root of each layer's weights, zero for layers without
    event OpenModelRegistered(
        bytes32 indexed model, address indexed registrant, bytes architecture, bytes32[] weightRoots
    );

    /// @notice There is not one root for each layer
    /// @param layers Number of layers
    /// @param roots Number of roots
    error WrongNumberOfRoots(uint256 layers, uint256 roots);

    /// @notice A layer with weights has no root, or one without weights has one
    /// @param layer The layer, counted from 0
    error RootOfNothing(uint256 layer);

    /// @notice There is no such layer or element, or the accumulators have several tiles
    /// @param layer The layer
    /// @param element The element
    error NotRecomputable(uint8 layer, uint256 element);

    /// @notice Registers a model; again is without effect (anyone may call)
    /// @param architecture Bytes of the architecture, checked against every rule of docs/spec/arithmetic.md
    /// @param weightRoots Root of each layer's weights, zero for layers without
    /// @return model Its id
    function register(bytes calldata architecture, bytes32[] calldata weightRoots) external returns (bytes32 model);

    /// @notice What a layer gives at an element, by the same code as a dispute: reverts where that would. Only for layers
    /// whose accumulators fit one tile
    /// @param architecture Bytes of the architecture
    /// @param layer The layer, counted from 0
    /// @param element The element of its output
    /// @param inputRoot Root of its input, of the left summand for an addition
    /// @param otherRoot Root of its weights; of the right summand for an addition; otherwise anything
    /// @param input The leaves of the layer's input that the element comes from
    /// @param other The leaves of its row of weights; of the right summand for an addition; otherwise nothing
    function recompute(
        bytes calldata architecture,
        uint8 layer,
        uint256 element,
        bytes32 inputRoot,
        bytes32 otherRoot,
        Opening calldata input,
        Opening calldata other
    ) external pure returns (int256 value);

    /// @notice What a claim about a model must fit
    function modelOf(bytes32 model) external view returns (Model memory);
}
