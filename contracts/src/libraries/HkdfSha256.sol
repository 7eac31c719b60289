// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title HkdfSha256
/// @notice HKDF of RFC 5869 with SHA-256, for a salt of 32 bytes and 32 bytes of output
library HkdfSha256 {
    uint256 private constant INNER = 0x3636363636363636363636363636363636363636363636363636363636363636;
    uint256 private constant OUTER = 0x5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c;

    /// @dev Extract, then the first block of expand.
    function derive(bytes32 salt, bytes memory secret, bytes memory info) internal pure returns (bytes32) {
        bytes32 extracted = _hmac(salt, secret);
        return _hmac(extracted, abi.encodePacked(info, uint8(1)));
    }

    /// @dev HMAC with a key of 32 bytes, which zeros fill up to a block of 64.
    function _hmac(bytes32 key, bytes memory message) private pure returns (bytes32) {
        bytes32 inner = sha256(abi.encodePacked(uint256(key) ^ INNER, INNER, message));
        return sha256(abi.encodePacked(uint256(key) ^ OUTER, OUTER, inner));
    }
}
