// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {MERCURY} from "./Plan.sol";
import {Session, Sessions} from "./Session.sol";

/// @title What a committed row is at a point (docs/spec/opening.md)
library Opening {
    using Sessions for Session;

    bytes32 private constant MERCURY_LABEL = keccak256("counterweight/zkml/opening/mercury/v1");
    bytes32 private constant HYPER_KZG_LABEL = keccak256("counterweight/zkml/opening/hyperkzg/v1");

    /// @dev Words of a claim but for the point: state, pending, label, bits, two coordinates of the commitment, value.
    uint256 internal constant CLAIM_WORDS = 7;
    /// @dev Where in a claim the commitment and the point are.
    uint256 internal constant COMMITMENT_AT = 128;
    uint256 internal constant POINT_AT = 192;

    /// @dev Whether the row committed to by the sum `commitment` has the value at the row point; the proof, `length` bytes of
    /// checked points and scalars, is what follows in the session. `pending` is absorbed first. Only one row is opened in a
    /// call: the transcript's state after it is of no use.
    function holds(
        Session memory session,
        uint256 scheme,
        uint256 length,
        uint256 commitment,
        uint256 pending,
        uint256 value
    ) internal view returns (bool) {
        bytes memory claim = _claim(session, scheme, commitment, pending, value);
        return session.openings.holds(scheme, claim, _proof(session, length));
    }

    /// @dev The transcript's state and what is absorbed of the claim.
    function _claim(Session memory session, uint256 scheme, uint256 commitment, uint256 pending, uint256 value)
        private
        pure
        returns (bytes memory claim)
    {
        bytes32 label = scheme == MERCURY ? MERCURY_LABEL : HYPER_KZG_LABEL;
        uint256 state = session.state;
        uint256 rowBits = session.rowBits;
        uint256 rowPoint = session.rowPoint;
        uint256 words = CLAIM_WORDS + rowBits;
        claim = Sessions.allocateBytes(32 * words);
        assembly ("memory-safe") {
            let cursor := add(claim, 32)
            mstore(cursor, state)
            mstore(add(cursor, 32), pending)
            mstore(add(cursor, 64), label)
            mstore(add(cursor, 96), rowBits)
            mcopy(add(cursor, COMMITMENT_AT), commitment, 64)
            mcopy(add(cursor, POINT_AT), rowPoint, shl(5, rowBits))
            mstore(add(claim, shl(5, words)), value)
        }
    }

    function _proof(Session memory session, uint256 length) private pure returns (bytes memory proof) {
        proof = Sessions.allocateBytes(length);
        uint256 next = session.next;
        assembly ("memory-safe") {
            calldatacopy(add(proof, 32), next, length)
        }
    }
}
