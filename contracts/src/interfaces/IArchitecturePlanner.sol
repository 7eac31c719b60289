// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Checks architectures and lays out proofs about them
/// @notice Pure: the same bytes give the same answer for everybody and for ever.
interface IArchitecturePlanner {
    /// @notice A rule of docs/spec/arithmetic.md that an architecture must keep
    /// @param Length As many bytes as the count of layers gives
    /// @param Header The bytes of a header
    /// @param Layers 1 to 64 layers
    /// @param Shape Sides from 1 to 65,535, at most 2^20 elements
    /// @param Byte A byte has a meaning there
    /// @param Order A layer reads nodes before it
    /// @param Summands Both summands have one shape
    /// @param Window Sides and strides from 1 on, padding smaller than the window, which fits
    /// @param Pooled A max pool compares at most four elements
    /// @param Multiplier Multipliers from 1 on
    /// @param Bias At most three digits, shifted by at most 30
    /// @param Accumulator Accumulators stay below 2^31
    /// @param Shift By at most 16, so that at most 32,639 is left
    /// @param Raw Only the last layer is raw
    /// @param Weights From 1 to 2^26 weights
    /// @param Unused A layer reads each node but the last
    /// @param InputLayer Only layers with weights read the network's input
    enum Rule {
        Length,
        Header,
        Layers,
        Shape,
        Byte,
        Order,
        Summands,
        Window,
        Pooled,
        Multiplier,
        Bias,
        Accumulator,
        Shift,
        Raw,
        Weights,
        Unused,
        InputLayer
    }

    /// @notice The architecture breaks a rule
    /// @param layer The layer, counted from 0; for `Unused` the node; otherwise 0
    /// @param rule The rule
    error ArchitectureRefused(uint256 layer, Rule rule);

    /// @notice Rows have from 2^11 to 2^18 cells
    /// @param rowBits What was asked for
    error RowBitsOutOfRange(uint256 rowBits);

    /// @notice No opening scheme has this number
    /// @param scheme What was asked for
    error UnknownScheme(uint256 scheme);

    /// @notice The architecture is too large for proofs with such rows
    /// @param slotBits Bits that number its hidden values, at most 22
    /// @param weightRows Rows its weights take, at most 4,096
    /// @param maskCells Masked values, at most 256
    error TooLarge(uint256 slotBits, uint256 weightRows, uint256 maskCells);

    /// @notice Lays out proofs of inference
    /// @param architecture The architecture's canonical bytes (docs/spec/arithmetic.md)
    /// @param rowBits Bits that number the cells of a row
    /// @param scheme How rows are opened: 1 Mercury, 2 HyperKZG
    /// @return plans The layout for public inputs, then the one for private inputs, each of 4 words and 3 a layer
    function plan(bytes calldata architecture, uint256 rowBits, uint256 scheme)
        external
        pure
        returns (bytes memory plans);
}
