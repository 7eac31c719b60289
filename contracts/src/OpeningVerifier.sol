// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IOpeningVerifier} from "./interfaces/IOpeningVerifier.sol";
import {HyperKzg} from "./zkml/HyperKzg.sol";
import {Mercury} from "./zkml/Mercury.sol";
import {Opening} from "./zkml/Opening.sol";
import {MERCURY} from "./zkml/Plan.sol";
import {Session} from "./zkml/Session.sol";

/// @title OpeningVerifier
/// @notice See {IOpeningVerifier}. A contract of its own because its code and {InferenceVerifier}'s do not fit in one.
contract OpeningVerifier is IOpeningVerifier {
    // `[tau]_2` of the set-up, as in EIP-197.
    uint256 private immutable TAU_X1;
    uint256 private immutable TAU_X0;
    uint256 private immutable TAU_Y1;
    uint256 private immutable TAU_Y0;

    /// @param tau `[tau]_2`, which whoever makes this has checked
    constructor(uint256[4] memory tau) {
        (TAU_X1, TAU_X0, TAU_Y1, TAU_Y0) = (tau[0], tau[1], tau[2], tau[3]);
    }

    /// @inheritdoc IOpeningVerifier
    function holds(uint256 scheme, bytes calldata claim, bytes calldata proof) external view returns (bool) {
        bytes memory copy = claim;
        Session memory session;
        uint256 commitment;
        uint256 value;
        assembly ("memory-safe") {
            commitment := add(copy, 32)
            value := mload(add(copy, mload(copy)))
        }
        unchecked {
            session.rowPoint = commitment + Opening.POINT_AT;
            session.rowBits = claim.length / 32 - Opening.CLAIM_WORDS;
            commitment += Opening.COMMITMENT_AT;
        }
        uint256 data;
        assembly ("memory-safe") {
            data := proof.offset
        }
        session.next = data;
        uint256[4] memory tau = [TAU_X1, TAU_X0, TAU_Y1, TAU_Y0];
        if (scheme == MERCURY) return Mercury.holds(session, copy, commitment, value, tau);
        return HyperKzg.holds(session, copy, commitment, value, tau);
    }
}
