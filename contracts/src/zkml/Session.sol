// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IOpeningVerifier} from "../interfaces/IOpeningVerifier.sol";
import {IInferenceVerifier} from "../interfaces/IInferenceVerifier.sol";
import {ORDER, plus, times} from "./Scalars.sol";

/// @dev The verifier's side of one proof. "At" ends names of addresses: of calldata where the proof is, of memory otherwise.
struct Session {
    // What says how much of everything there is.
    uint256 plan;
    uint256 rowBits;
    uint256 slotBits;
    uint256 rounds;
    uint256 tauBits;
    // What checks openings.
    IOpeningVerifier openings;
    // Whether a bad proof reverts; otherwise it makes the call return false.
    bool isRegistration;
    // The transcript's state, and the first byte of the proof that it has not absorbed.
    uint256 state;
    uint256 next;
    // Where points and values are in calldata.
    uint256 weightsAt;
    uint256 inputAt;
    uint256 firstAt;
    uint256 secondAt;
    uint256 evaluationsAt;
    // Challenges; points are addresses of their first coordinates.
    uint256 alpha;
    uint256 beta;
    uint256 tau;
    uint256 lambda;
    uint256 eta;
    uint256 point;
    uint256 maskPoint;
    uint256 gamma;
    uint256 rowPoint;
    // The claim that the sum-check so far leaves.
    uint256 claim;
    // What claims add up to, each by its weight, and for each committed row its coefficient in what they say.
    uint256 value;
    uint256 weightRows;
    uint256 inputRows;
    uint256 firstRows;
    uint256 secondRows;
    // A batched claim's weights, one word each, from the first.
    uint256 powers;
    // For each column and then the inverses: eq of its place within a row, and where its first row's coefficient is.
    uint256 placesAt;
    // For each node the address of where its slots are.
    uint256 slotsAt;
    // What `Inference` keeps of each layer, and the numbers of two claims, 0 where there are none.
    uint256 layersAt;
    uint256 outputClaim;
    uint256 inputClaim;
    // The public statement, in calldata.
    uint256 input;
    uint256 inputBytes;
    uint256 output;
    uint256 outputBytes;
}

/// @title What ends a session early, and the transcript
library Sessions {
    /// @dev Ends the call: a bad proof is an answer, not an error. Only a registration reverts, since it must not go on.
    function refuse(Session memory session) internal pure {
        if (session.isRegistration) revert IInferenceVerifier.RegistrationRefused();
        assembly ("memory-safe") {
            mstore(0, 0)
            return(0, 32)
        }
    }

    /// @dev Memory for a point.
    function allocate(uint256 count) internal pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := mload(0x40)
            mstore(0x40, add(place, shl(5, count)))
        }
    }

    /// @dev Memory for `length` bytes.
    function allocateBytes(uint256 length) internal pure returns (bytes memory data) {
        assembly ("memory-safe") {
            data := mload(0x40)
            mstore(data, length)
            mstore(0x40, and(add(add(data, length), 63), not(31)))
        }
    }

    /// @dev As `allocate`, of zeros.
    function zeros(uint256 count) internal pure returns (uint256 place) {
        place = allocate(count);
        assembly ("memory-safe") {
            calldatacopy(place, calldatasize(), shl(5, count))
        }
    }

    /// @dev Absorbs the next `length` bytes of the proof and draws a challenge.
    function draw(Session memory session, uint256 length) internal pure returns (uint256 challenge) {
        uint256 state = session.state;
        uint256 next = session.next;
        assembly ("memory-safe") {
            let message := mload(0x40)
            mstore(message, state)
            calldatacopy(add(message, 32), next, length)
            state := keccak256(message, add(32, length))
            challenge := mod(state, ORDER)
        }
        session.state = state;
        unchecked {
            session.next = next + length;
        }
    }

    /// @dev Absorbs `length` bytes of memory, then the next `more` bytes of the proof, and draws a challenge.
    function drawAfter(Session memory session, uint256 data, uint256 length, uint256 more)
        internal
        pure
        returns (uint256 challenge)
    {
        uint256 state = session.state;
        uint256 next = session.next;
        assembly ("memory-safe") {
            let message := mload(0x40)
            mstore(message, state)
            mcopy(add(message, 32), data, length)
            calldatacopy(add(add(message, 32), length), next, more)
            state := keccak256(message, add(32, add(length, more)))
            challenge := mod(state, ORDER)
        }
        session.state = state;
        unchecked {
            session.next = next + more;
        }
    }

    /// @dev Draws a challenge from a state that begins `data`, the rest of which is absorbed, then the next `more` bytes of the
    /// proof.
    function drawFrom(Session memory session, bytes memory data, uint256 more)
        internal
        pure
        returns (uint256 challenge)
    {
        uint256 state;
        uint256 next = session.next;
        assembly ("memory-safe") {
            let message := mload(0x40)
            let length := mload(data)
            mcopy(message, add(data, 32), length)
            calldatacopy(add(message, length), next, more)
            state := keccak256(message, add(length, more))
            challenge := mod(state, ORDER)
        }
        session.state = state;
        unchecked {
            session.next = next + more;
        }
    }

    /// @dev Draws the coordinates of a point, nothing absorbed between them.
    function drawPoint(Session memory session, uint256 count, uint256 length) internal pure returns (uint256 point) {
        point = allocate(count);
        uint256 state = draw(session, length);
        state = session.state;
        assembly ("memory-safe") {
            let order := ORDER
            let end := add(point, shl(5, count))
            mstore(point, mod(state, order))
            for { let cursor := add(point, 32) } lt(cursor, end) { cursor := add(cursor, 32) } {
                mstore(0, state)
                state := keccak256(0, 32)
                mstore(cursor, mod(state, order))
            }
        }
        session.state = state;
    }

    /// @dev Follows `rounds` rounds of a sum-check, each `sent` coefficients of its polynomial: all but the linear one, which
    /// the claim gives. The last claim is left in the session. `first` bytes more are absorbed with the first round.
    function follow(Session memory session, uint256 point, uint256 rounds, uint256 sent, uint256 first) internal pure {
        unchecked {
            uint256 claim = session.claim;
            for (uint256 i = 0; i < rounds; ++i) {
                uint256 challenge = draw(session, 32 * sent + first);
                first = 0;
                uint256 last = session.next - 32;
                assembly ("memory-safe") {
                    let order := ORDER
                    mstore(add(point, shl(5, i)), challenge)
                    // h(x) = c0 + x (c1 + x (c2 + ...)) with c1 = claim - 2 c0 - c2 - ...
                    let sum := calldataload(last)
                    let higher := mulmod(sum, challenge, order)
                    let constantAt := sub(last, shl(5, sub(sent, 1)))
                    for { last := sub(last, 32) } gt(last, constantAt) { last := sub(last, 64) } {
                        // Two at a time: there is an even number of them, after the first, in rounds of either degree.
                        let coefficient := calldataload(last)
                        sum := add(sum, coefficient)
                        higher := mulmod(add(higher, coefficient), challenge, order)
                        coefficient := calldataload(sub(last, 32))
                        sum := mod(add(sum, coefficient), order)
                        higher := mulmod(add(higher, coefficient), challenge, order)
                    }
                    let constant := calldataload(constantAt)
                    sum := add(sum, add(constant, constant))
                    // Up to three times the order is taken off.
                    let linear := addmod(claim, sub(mul(3, order), sum), order)
                    claim := addmod(constant, mulmod(challenge, add(linear, higher), order), order)
                }
            }
            session.claim = claim;
        }
    }

    /// @dev Whether `count` words of calldata are reduced scalars.
    function areScalars(uint256 data, uint256 count) internal pure returns (bool valid) {
        assembly ("memory-safe") {
            let most := sub(ORDER, 1)
            let bad := 0
            let end := add(data, shl(5, count))
            for { let whole := add(data, shl(5, and(count, not(3)))) } lt(data, whole) { data := add(data, 128) } {
                bad := or(bad, gt(calldataload(data), most))
                bad := or(bad, gt(calldataload(add(data, 32)), most))
                bad := or(bad, gt(calldataload(add(data, 64)), most))
                bad := or(bad, gt(calldataload(add(data, 96)), most))
            }
            for {} lt(data, end) { data := add(data, 32) } { bad := or(bad, gt(calldataload(data), most)) }
            valid := iszero(bad)
        }
    }

    /// @dev The last `bits` coordinates of the zero-check's point.
    function tauFor(Session memory session, uint256 bits) internal pure returns (uint256) {
        unchecked {
            return session.tau + 32 * (session.tauBits - bits);
        }
    }

    /// @dev The last `bits` coordinates of the first sum-check's point.
    function pointFor(Session memory session, uint256 bits) internal pure returns (uint256) {
        unchecked {
            return session.point + 32 * (session.rounds - bits);
        }
    }

    /// @dev The last `bits` coordinates of the row point.
    function rowPointFor(Session memory session, uint256 bits) internal pure returns (uint256) {
        unchecked {
            return session.rowPoint + 32 * (session.rowBits - bits);
        }
    }

    /// @dev Revealed value `index`.
    function evaluation(Session memory session, uint256 index) internal pure returns (uint256 value) {
        uint256 cursor = session.evaluationsAt;
        assembly ("memory-safe") {
            value := calldataload(add(cursor, shl(5, index)))
        }
    }

    /// @dev Adds `factor * value` to what the claims add up to.
    function claimed(Session memory session, uint256 factor, uint256 value) internal pure {
        session.value = plus(session.value, times(factor, value));
    }

    /// @dev The weight of claim `index`, counted from 1.
    function weight(Session memory session, uint256 index) internal pure returns (uint256 power) {
        uint256 powers = session.powers;
        assembly ("memory-safe") {
            power := mload(add(powers, shl(5, index)))
        }
    }

    /// @dev Makes the weights of claims up to `last`.
    function weigh(Session memory session, uint256 last) internal pure {
        uint256 gamma = session.gamma;
        uint256 powers = allocate(last + 1);
        session.powers = powers;
        assembly ("memory-safe") {
            let power := 1
            for { let end := add(powers, shl(5, last)) } iszero(gt(powers, end)) { powers := add(powers, 32) } {
                mstore(powers, power)
                power := mulmod(power, gamma, ORDER)
            }
        }
    }
}
