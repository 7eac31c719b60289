// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title MemberRecord
/// @notice Hashes of what members of a masked round recorded, in place of the records
library MemberRecord {
    /// @dev Of a member that announced a key.
    function announced(uint64 commitBy, bytes32 key) internal pure returns (bytes32) {
        return keccak256(abi.encode(commitBy, key));
    }

    /// @dev Of a member that took another step: first it dealt, then it uploaded. `before` is no time of an opening, so that no
    /// record passes for another step's.
    function followed(bytes32 before, bytes32 root) internal pure returns (bytes32) {
        return keccak256(abi.encode(before, root));
    }

    /// @dev Of a group with a posted sum.
    function hashOf(uint64 commitBy, bytes32 context, uint32 survivors, bytes32 sum, bytes32[] memory seats)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(commitBy, context, survivors, sum, seats));
    }
}
