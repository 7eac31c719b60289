// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ISumDisputes} from "../interfaces/ISumDisputes.sol";
import {Curve25519} from "./Curve25519.sol";
import {HkdfSha256} from "./HkdfSha256.sol";
import {MemberRecord} from "./MemberRecord.sol";
import {Sha256Tree} from "./Sha256Tree.sol";

/// @title MaskedSums
/// @notice What opened shares and blocks show about a group's sum (docs/spec/masking.md, docs/spec/masked-rounds.md)
library MaskedSums {
    /// @dev Which of the dealer's polynomials a share is of; the number is part of its digest.
    uint8 internal constant KEY = 1;
    uint8 internal constant SEED = 2;

    /// @dev Words of a block.
    uint256 internal constant WORDS = 16;

    /// @dev Place that stands for the posted sum in {ISumDisputes-NotInVector}.
    uint256 internal constant SUM = 255;

    /// @dev Blocks of a vector.
    function blocks(uint256 coordinates) internal pure returns (uint256) {
        return (coordinates + WORDS - 1) / WORDS;
    }

    function hashOf(ISumDisputes.Group calldata group) internal pure returns (bytes32) {
        bytes32[] memory seats = new bytes32[](group.seats.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            ISumDisputes.Seat calldata seat = group.seats[i];
            bytes32 hash = MemberRecord.announced(group.commitBy, seat.key);
            // No root is zero, and without a dealing there is no upload: a step left out is told from one that was made.
            if (seat.digestsRoot != 0) hash = MemberRecord.followed(hash, seat.digestsRoot);
            if (seat.uploadRoot != 0) hash = MemberRecord.followed(hash, seat.uploadRoot);
            seats[i] = hash;
        }
        return MemberRecord.hashOf(group.commitBy, group.context, group.survivors, group.sum, seats);
    }

    function isSurvivor(ISumDisputes.Group calldata group, uint256 place) internal pure returns (bool) {
        return place < group.seats.length && group.survivors >> place & 1 == 1;
    }

    /// @dev Whether a place took part and its masks with survivors must be taken away.
    function isDropped(ISumDisputes.Group calldata group, uint256 place) internal pure returns (bool) {
        return place < group.seats.length && group.seats[place].digestsRoot != 0 && group.survivors >> place & 1 == 0;
    }

    /// @dev The secret that a member dealt, from shares that fit their digests. It is the only one this ever returns for the dealer,
    /// up to its sign: where dealer and neighbours recorded digests of shares on no polynomial, other shares of theirs give another
    /// secret, which is not the one of the dealt point. The point is compared without what it has of small order, and without sign.
    function secretOf(
        ISumDisputes.Group calldata group,
        ISumDisputes.Secret calldata secret,
        uint8 kind,
        uint256 threshold
    ) internal view returns (uint256 value) {
        uint256 dealer = secret.place;
        if (secret.shares.length != threshold) revert ISumDisputes.WrongShareCount(secret.shares.length, threshold);
        _requireLeaf(group, dealer, dealer, abi.encodePacked(uint16(dealer), secret.points), secret.path);
        uint256[] memory places = new uint256[](threshold);
        uint256[] memory values = new uint256[](threshold);
        for (uint256 i = 0; i < threshold; ++i) {
            ISumDisputes.Share calldata share = secret.shares[i];
            uint256 place = share.place;
            // In order, so that no share counts twice.
            if (place == dealer || (i != 0 && place <= secret.shares[i - 1].place)) {
                revert ISumDisputes.WrongPlace(place);
            }
            values[i] = Curve25519.swap(share.share);
            if (values[i] >= Curve25519.ORDER) revert ISumDisputes.NotDealt(place);
            _requireLeaf(group, dealer, place, _leaf(kind, dealer, share), share.path);
            // Where a neighbour's share lies on the polynomial: its place, counted from 1 without the dealer.
            places[i] = place < dealer ? place + 1 : place;
        }
        value = Curve25519.interpolate(places, values);
        _requireDealt(group.seats[dealer].key, secret, kind, value);
    }

    function _requireDealt(bytes32 announced, ISumDisputes.Secret calldata secret, uint8 kind, uint256 value)
        private
        pure
    {
        (uint256 x, uint256 z) = Curve25519.fromEdwards(secret.points[kind - 1]);
        // A dealing of another key than the announced one counts for nothing, and its masks are in no right sum.
        bool same = kind != KEY || x == mulmod(Curve25519.decode(announced), z, Curve25519.P);
        if (!same || !Curve25519.opens(value, x, z)) revert ISumDisputes.WrongSecret(secret.place);
    }

    function _requireLeaf(
        ISumDisputes.Group calldata group,
        uint256 dealer,
        uint256 place,
        bytes memory leaf,
        bytes32[] calldata path
    ) private pure {
        ISumDisputes.Seat calldata seat = group.seats[dealer];
        bool there = Sha256Tree.includes(seat.digestsRoot, group.seats.length, place, leaf, path);
        if (!there) revert ISumDisputes.NotDealt(place);
    }

    /// @dev A place's leaf among the digests of a dealer.
    function _leaf(uint8 kind, uint256 dealer, ISumDisputes.Share calldata share)
        private
        pure
        returns (bytes memory)
    {
        uint16 place = share.place;
        bytes32 digest = sha256(abi.encodePacked("cw/share", kind, uint16(dealer), place, share.share));
        return kind == KEY
            ? abi.encodePacked(place, digest, share.others)
            : abi.encodePacked(place, share.others[0], digest, share.others[1]);
    }

    /// @dev Seed of a self-mask. Of a secret and its opposite the even one counts, so that the sign may stay open.
    function selfSeed(bytes32 context, uint256 place, uint256 secret) internal pure returns (bytes32) {
        uint256 even = secret & 1 == 0 ? secret : Curve25519.ORDER - secret;
        bytes memory info = abi.encodePacked("counterweight/masking/self/v1", uint16(place));
        return HkdfSha256.derive(context, abi.encode(Curve25519.swap(bytes32(even))), info);
    }

    /// @dev Seed of the mask between two places, whose keys agree on `agreed`.
    function pairSeed(bytes32 context, uint256 low, uint256 high, bytes32 agreed) internal pure returns (bytes32) {
        bytes memory info = abi.encodePacked("counterweight/masking/pair/v1", uint16(low), uint16(high));
        return HkdfSha256.derive(context, abi.encode(agreed), info);
    }
}
