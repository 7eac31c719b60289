// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Openings of committed rows (docs/spec/opening.md)
/// @notice Under one set-up, the same bytes give the same answer for everybody. It is called by verifiers, which have
/// checked the encodings of points and scalars.
interface IOpeningVerifier {
    /// @notice Whether a row has a value at a point
    /// @param scheme 1 for Mercury, 2 for HyperKZG
    /// @param claim The transcript's state, a word that is absorbed before the claim, then what is absorbed of the claim: label,
    /// number of coordinates, commitment, coordinates, value
    /// @param proof The opening
    function holds(uint256 scheme, bytes calldata claim, bytes calldata proof) external view returns (bool);
}
