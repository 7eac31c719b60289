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

    /// @notice Registers a model; again is without effect (anyone may call)
    /// @param architecture Bytes of the architecture, checked against every rule of docs/spec/arithmetic.md
    /// @param weightRoots Root of each layer's weights, zero for layers without
    /// @return model Its id
    function register(bytes calldata architecture, bytes32[] calldata weightRoots) external returns (bytes32 model);

    /// @notice What a claim about a model must fit
    function modelOf(bytes32 model) external view returns (Model memory);
}
