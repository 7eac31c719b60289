// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Where wallets and galleries find what a token of the registry shows
/// @notice What an asset commits to never changes; where its metadata may be found does, since a file moves and a
/// description improves. Implemented by the registry beside ERC-4906, whose `MetadataUpdate` tells readers to look
/// again: when the place changes, and when a newer version replaces the asset.
interface IAssetMetadata {
    /// @notice Emitted when the place of an asset's metadata changes; ERC-4906 `MetadataUpdate` comes with it
    /// @param id The asset
    /// @param uri The new place
    event UriSet(uint64 indexed id, string uri);

    /// @notice Names another place for the metadata of an asset: `tokenURI` gives it from then on. The caller is the
    /// token's owner, an operator it approved, or whoever is approved for the token.
    /// @param id The asset; reverts with ERC-721's `ERC721NonexistentToken` for an unknown one
    /// @param uri The place, at most 1,024 bytes; may be empty. It is a hint: digests decide
    function setUri(uint64 id, string calldata uri) external;
}
