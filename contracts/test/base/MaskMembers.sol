// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {MaskedRounds} from "../../src/MaskedRounds.sol";
import {SumDisputes} from "../../src/SumDisputes.sol";
import {IMaskedRounds} from "../../src/interfaces/IMaskedRounds.sol";
import {ISumDisputes} from "../../src/interfaces/ISumDisputes.sol";
import {ITrainingRounds} from "../../src/interfaces/ITrainingRounds.sol";
import {ChaCha20} from "../../src/libraries/ChaCha20.sol";
import {Curve25519} from "../../src/libraries/Curve25519.sol";
import {MaskedSums} from "../../src/libraries/MaskedSums.sol";
import {Sha256Trees} from "./Sha256Trees.sol";
import {System} from "./System.sol";

/// @title Members of masked rounds, who follow docs/spec/masking.md with secrets that anyone can compute
/// @dev What `testdata/masking` holds from the Rust library judges the same libraries; this makes rounds for any context.
abstract contract MaskMembers is System {
    using ChaCha20 for ChaCha20.Rows;

    uint32 internal constant COORDINATES = 37;
    uint256 internal constant BLOCKS = 3;
    uint128 internal constant MASK_BOND = 101e18;
    uint32 internal constant DISPUTE_SECONDS = 1 days;
    bytes32 internal constant DEALING = "dealing";
    bytes32 internal constant UNMASKING = "unmasking";

    MaskedRounds internal masks;
    SumDisputes internal disputes;

    // Computed once: most of what these tests compute is agreements.
    mapping(uint256 member => bytes32) private _publicKeys;

    /// @dev A group of one opening, as everyone knows it in the end; sets are by place.
    struct Party {
        uint64 study;
        uint32 round;
        uint8 index;
        uint64 commitBy;
        bytes32 context;
        uint8[] members;
        uint32 dealt;
        uint32 uploaded;
        uint32 survivors;
        uint256 threshold;
    }

    function setUp() public virtual override {
        super.setUp();
        masks = MaskedRounds(_deploy("MaskedRounds", abi.encode(rounds)));
        disputes = masks.disputes();
        for (uint256 member = 0; member < 16; ++member) {
            (uint256 x, uint256 z) = Curve25519.multiply(_privateKey(member), Curve25519.BASE);
            _publicKeys[member] = _affine(x, z);
        }
    }

    // Studies

    function _setting(uint8 groupSize) internal view returns (IMaskedRounds.Setting memory setting) {
        setting.bondToken = address(token);
        setting.groupSize = groupSize;
        setting.thresholdPercent = 51;
        setting.fewestSurvivors = 3;
        setting.coordinates = COORDINATES;
        setting.disputeSeconds = DISPUTE_SECONDS;
        setting.bond = MASK_BOND;
    }

    function _enrolling(uint256 members) internal returns (uint64 study) {
        ITrainingRounds.Terms memory terms = _terms();
        terms.maxMembers = uint8(members);
        study = _open(terms);
        for (uint256 i = 0; i < members; ++i) {
            _join(study, i, _consented(i));
        }
    }

    function _configure(uint64 study, IMaskedRounds.Setting memory setting) internal {
        _fund(coordinator, address(masks), setting.bond);
        vm.prank(coordinator);
        masks.configure(study, setting);
    }

    /// @dev A study of so many members in groups of `groupSize`, whose first round is open.
    function _masking(uint256 members, uint8 groupSize) internal returns (uint64 study) {
        study = _enrolling(members);
        _configure(study, _setting(groupSize));
        vm.prank(coordinator);
        rounds.start(study);
        _openRound(study);
    }

    // Steps

    function _announce(uint64 study, uint256 member) internal {
        uint32 round = rounds.study(study).round;
        bytes32 key = _publicKey(member);
        vm.prank(_clinic(member));
        masks.announce(study, round, uint8(member), key);
    }

    /// @dev All who have a bit announce; closes, rolls on and draws.
    function _drawn(uint64 study, uint64 announcing) internal {
        for (uint256 i = 0; i < 64; ++i) {
            if (announcing >> i & 1 == 1) _announce(study, i);
        }
        uint32 round = rounds.study(study).round;
        if (masks.opening(study).closedAt == 0) {
            vm.prank(coordinator);
            masks.draw(study, round);
        }
        vm.roll(block.number + 1);
        vm.setBlockhash(block.number - 1, keccak256(abi.encode("block", block.number)));
        masks.draw(study, round);
    }

    /// @dev The groups of the newest opening, nobody having dealt.
    function _parties(uint64 study) internal view returns (Party[] memory parties) {
        IMaskedRounds.Opening memory opening = masks.opening(study);
        IMaskedRounds.Setting memory setting = masks.settingOf(study);
        uint8[][] memory groups = masks.groupsOf(opening.beacon, opening.announced, setting.groupSize);
        parties = new Party[](groups.length);
        for (uint8 group = 0; group < groups.length; ++group) {
            Party memory party = parties[group];
            (party.study, party.round, party.index) = (study, opening.round, group);
            party.commitBy = opening.commitBy;
            party.context = masks.contextOf(study, opening.round, opening.commitBy, group, opening.beacon);
            party.members = groups[group];
            uint256 neighbours = groups[group].length - 1;
            uint256 needed = neighbours * setting.thresholdPercent / 100 + 1;
            party.threshold = needed < neighbours ? needed : neighbours;
        }
    }

    function _deal(Party memory party, uint256 place) internal {
        bytes32 root = _digestsRoot(party, place);
        uint8 member = party.members[place];
        vm.prank(_clinic(member));
        masks.deal(party.study, party.round, member, DEALING, root);
        party.dealt |= uint32(1) << uint32(place);
    }

    /// @dev Once all who will have dealt.
    function _upload(Party memory party, uint256 place) internal {
        bytes32 root = _maskedRoot(party, place);
        uint8 member = party.members[place];
        _commit(party.study, member);
        vm.prank(_clinic(member));
        masks.upload(party.study, party.round, member, root);
        party.uploaded |= uint32(1) << uint32(place);
    }

    function _fix(uint64 study, Party[] memory parties) internal {
        uint64 survivors = _survivors(parties);
        vm.prank(coordinator);
        masks.fixSurvivors(study, parties[0].round, survivors);
    }

    function _survivors(Party[] memory parties) internal pure returns (uint64 survivors) {
        for (uint256 i = 0; i < parties.length; ++i) {
            for (uint256 place = 0; place < parties[i].members.length; ++place) {
                if (parties[i].survivors >> place & 1 == 1) survivors |= uint64(1) << parties[i].members[place];
            }
        }
    }

    function _unmask(Party memory party, uint256 place) internal {
        uint8 member = party.members[place];
        vm.prank(_clinic(member));
        masks.unmask(party.study, party.round, member, UNMASKING);
    }

    /// @dev From the draw to the survivors' shares: everybody deals but `silent`, everybody who dealt uploads but `dropped`, both by
    /// place and in every group.
    function _upToShares(uint64 study, uint32 silent, uint32 dropped) internal returns (Party[] memory parties) {
        parties = _parties(study);
        for (uint256 i = 0; i < parties.length; ++i) {
            for (uint256 place = 0; place < parties[i].members.length; ++place) {
                if (silent >> place & 1 == 0) _deal(parties[i], place);
            }
        }
        if (silent != 0) vm.warp(parties[0].commitBy - 300 + 1);
        for (uint256 i = 0; i < parties.length; ++i) {
            for (uint256 place = 0; place < parties[i].members.length; ++place) {
                if ((silent | dropped) >> place & 1 == 0) _upload(parties[i], place);
            }
            parties[i].survivors = parties[i].uploaded;
        }
        if (dropped != 0) vm.warp(parties[0].commitBy + 1);
        _fix(study, parties);
        for (uint256 i = 0; i < parties.length; ++i) {
            for (uint256 place = 0; place < parties[i].members.length; ++place) {
                if (parties[i].survivors >> place & 1 == 1) _unmask(parties[i], place);
            }
        }
    }

    function _post(uint64 study, uint32 round, bytes32[] memory sums) internal {
        vm.prank(coordinator);
        masks.postSums(study, round, sums);
    }

    // Secrets

    function _scalar(uint256 member, uint256 kind, uint256 index) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("scalar", member, kind, index))) % Curve25519.ORDER;
    }

    /// @dev A clamped private key, as RFC 7748 reads 32 bytes.
    function _privateKey(uint256 member) internal pure returns (uint256) {
        uint256 random = uint256(keccak256(abi.encode("key", member)));
        return (random & ~uint256(7) & (type(uint256).max >> 2)) | uint256(1) << 254;
    }

    function _publicKey(uint256 member) internal view returns (bytes32) {
        return _publicKeys[member];
    }

    function _affine(uint256 x, uint256 z) internal view returns (bytes32) {
        return bytes32(Curve25519.swap(bytes32(mulmod(x, Curve25519.invert(z, Curve25519.P), Curve25519.P))));
    }

    /// @dev kind 1: key, 2: seed, 3: blind; what is dealt.
    function _secret(uint256 member, uint256 kind) internal pure returns (uint256) {
        return kind == 1 ? _privateKey(member) % Curve25519.ORDER : _scalar(member, kind, 0);
    }

    function _shareOf(Party memory party, uint256 dealer, uint256 kind, uint256 to)
        internal
        pure
        returns (uint256 value)
    {
        uint256 member = party.members[dealer];
        uint256 seat = to < dealer ? to + 1 : to;
        for (uint256 i = party.threshold; i > 1;) {
            --i;
            value = mulmod(addmod(value, _scalar(member, kind, i), Curve25519.ORDER), seat, Curve25519.ORDER);
        }
        value = addmod(value, _secret(member, kind), Curve25519.ORDER);
    }

    function _digest(Party memory party, uint256 dealer, uint256 kind, uint256 to) internal pure returns (bytes32) {
        bytes32 share = bytes32(Curve25519.swap(bytes32(_shareOf(party, dealer, kind, to))));
        return sha256(abi.encodePacked("cw/share", uint8(kind), uint16(dealer), uint16(to), share));
    }

    /// @dev A point of edwards25519 by its y; the sign is left at 0.
    function _point(uint256 secret) internal view returns (bytes32) {
        (uint256 x, uint256 z) = Curve25519.multiply(secret, Curve25519.BASE);
        return _affine(addmod(x, Curve25519.P - z, Curve25519.P), addmod(x, z, Curve25519.P));
    }

    function _points(Party memory party, uint256 dealer) internal view returns (bytes32[3] memory points) {
        uint256 member = party.members[dealer];
        for (uint256 kind = 1; kind <= 3; ++kind) {
            points[kind - 1] = _point(_secret(member, kind));
        }
    }

    function _leaves(Party memory party, uint256 dealer) internal view virtual returns (bytes[] memory leaves) {
        leaves = new bytes[](party.members.length);
        for (uint256 to = 0; to < leaves.length; ++to) {
            leaves[to] = to == dealer
                ? abi.encodePacked(uint16(to), _points(party, dealer))
                : abi.encodePacked(
                    uint16(to),
                    _digest(party, dealer, 1, to),
                    _digest(party, dealer, 2, to),
                    _digest(party, dealer, 3, to)
                );
        }
    }

    function _digestsRoot(Party memory party, uint256 dealer) internal view returns (bytes32) {
        return Sha256Trees.root(_leaves(party, dealer));
    }

    // Vectors, by blocks of 16 words

    function _value(uint256 member, uint256 index) internal pure returns (uint32) {
        return index < COORDINATES ? uint32(uint256(keccak256(abi.encode("value", member, index))) >> 238) : 0;
    }

    function _plain(uint256 member, uint256 number) internal pure returns (uint256[16] memory words) {
        for (uint256 i = 0; i < 16; ++i) {
            words[i] = _value(member, 16 * number + i);
        }
    }

    function _addMask(uint256[16] memory words, bytes32 seed, uint256 number, bool add) internal pure {
        ChaCha20.Rows memory rows = ChaCha20.keystream(seed, uint32(number));
        uint256[4] memory row = [rows.a, rows.b, rows.c, rows.d];
        for (uint256 i = 0; i < 16; ++i) {
            uint256 word = row[i / 4] >> 64 * (3 - i % 4) & 0xffffffff;
            words[i] = (add ? words[i] + word : words[i] + (1 << 32) - word) & 0xffffffff;
        }
    }

    function _selfSeed(Party memory party, uint256 place) internal pure returns (bytes32) {
        return MaskedSums.selfSeed(party.context, place, _secret(party.members[place], 2));
    }

    function _pairSeed(Party memory party, uint256 one, uint256 other) internal view returns (bytes32) {
        (uint256 low, uint256 high) = one < other ? (one, other) : (other, one);
        bytes32 agreed =
            Curve25519.agree(_secret(party.members[low], 1), _publicKey(party.members[high]));
        return MaskedSums.pairSeed(party.context, low, high, agreed);
    }

    function _masked(Party memory party, uint256 place) internal view returns (bytes[] memory blocks) {
        uint256[16][BLOCKS] memory words;
        for (uint256 number = 0; number < BLOCKS; ++number) {
            words[number] = _plain(party.members[place], number);
            _addMask(words[number], _selfSeed(party, place), number, true);
        }
        for (uint256 other = 0; other < party.members.length; ++other) {
            if (other == place || party.dealt >> other & 1 == 0) continue;
            bytes32 seed = _pairSeed(party, place, other);
            for (uint256 number = 0; number < BLOCKS; ++number) {
                _addMask(words[number], seed, number, place < other);
            }
        }
        blocks = new bytes[](BLOCKS);
        for (uint256 number = 0; number < BLOCKS; ++number) {
            blocks[number] = _encode(words[number], number);
        }
    }

    function _maskedRoot(Party memory party, uint256 place) internal view returns (bytes32) {
        return Sha256Trees.root(_masked(party, place));
    }

    /// @dev Words beyond the last coordinate are zeros, masks or not.
    function _encode(uint256[16] memory words, uint256 number) internal pure returns (bytes memory bytes_) {
        for (uint256 i = 0; i < 16; ++i) {
            uint256 word = 16 * number + i < COORDINATES ? words[i] : 0;
            bytes_ = abi.encodePacked(
                bytes_, uint8(word), uint8(word >> 8), uint8(word >> 16), uint8(word >> 24)
            );
        }
    }

    /// @dev The blocks of the survivors' sum.
    function _sum(Party memory party) internal pure returns (bytes[] memory blocks) {
        blocks = new bytes[](BLOCKS);
        for (uint256 number = 0; number < BLOCKS; ++number) {
            uint256[16] memory words;
            for (uint256 place = 0; place < party.members.length; ++place) {
                if (party.survivors >> place & 1 == 0) continue;
                uint256[16] memory plain = _plain(party.members[place], number);
                for (uint256 i = 0; i < 16; ++i) {
                    words[i] = (words[i] + plain[i]) & 0xffffffff;
                }
            }
            blocks[number] = _encode(words, number);
        }
    }

    function _honestSums(Party[] memory parties) internal pure returns (bytes32[] memory sums) {
        sums = new bytes32[](parties.length);
        for (uint256 i = 0; i < parties.length; ++i) {
            if (parties[i].survivors != 0) sums[i] = Sha256Trees.root(_sum(parties[i]));
        }
    }

    // What a challenger shows

    function _group(Party[] memory parties, uint256 index, bytes32[] memory sums)
        internal
        view
        returns (ISumDisputes.Group memory group)
    {
        bytes32[] memory hashes = new bytes32[](parties.length);
        for (uint256 i = 0; i < parties.length; ++i) {
            hashes[i] = disputes.hashOf(_groupAlone(parties[i], sums[i]));
        }
        group = _groupAlone(parties[index], sums[index]);
        group.groups = hashes;
    }

    function _groupAlone(Party memory party, bytes32 sum) private view returns (ISumDisputes.Group memory group) {
        (group.study, group.round, group.index) = (party.study, party.round, party.index);
        (group.commitBy, group.context, group.survivors) = (party.commitBy, party.context, party.survivors);
        group.sum = sum;
        group.seats = new ISumDisputes.Seat[](party.members.length);
        for (uint256 place = 0; place < party.members.length; ++place) {
            group.seats[place].key = _publicKey(party.members[place]);
            if (party.dealt >> place & 1 == 1) group.seats[place].digestsRoot = _digestsRoot(party, place);
            if (party.uploaded >> place & 1 == 1) group.seats[place].uploadRoot = _maskedRoot(party, place);
        }
    }

    /// @dev From the first survivors' shares.
    function _open(Party memory party, uint256 dealer, uint256 kind)
        internal
        view
        returns (ISumDisputes.Secret memory secret)
    {
        bytes[] memory leaves = _leaves(party, dealer);
        secret.place = uint8(dealer);
        secret.points = _points(party, dealer);
        secret.path = Sha256Trees.path(leaves, dealer);
        secret.shares = new ISumDisputes.Share[](party.threshold);
        uint256 count = 0;
        for (uint256 to = 0; count < party.threshold; ++to) {
            if (to == dealer || party.survivors >> to & 1 == 0) continue;
            ISumDisputes.Share memory share = secret.shares[count++];
            share.place = uint8(to);
            share.share = bytes32(Curve25519.swap(bytes32(_shareOf(party, dealer, kind, to))));
            share.others[0] = _digest(party, dealer, kind == 1 ? 2 : 1, to);
            share.others[1] = _digest(party, dealer, 3, to);
            share.path = Sha256Trees.path(leaves, to);
        }
    }

    /// @dev Every seed that is left in the sum.
    function _openAll(Party memory party, ISumDisputes.Group memory group) internal {
        uint256 size = party.members.length;
        uint8[] memory survivors = new uint8[](size);
        uint256 count = 0;
        for (uint8 place = 0; place < size; ++place) {
            if (party.survivors >> place & 1 == 0) continue;
            survivors[count++] = place;
            disputes.openSeed(group, _open(party, place, 2));
        }
        assembly ("memory-safe") {
            mstore(survivors, count)
        }
        for (uint256 place = 0; place < size; ++place) {
            bool dropped = party.survivors >> place & 1 == 0 && party.dealt >> place & 1 == 1;
            if (dropped) disputes.openPairs(group, _open(party, place, 1), survivors);
        }
    }

    function _block(bytes[] memory blocks, uint256 number) internal pure returns (ISumDisputes.Block memory part) {
        part.words = abi.decode(blocks[number], (bytes32[2]));
        part.path = Sha256Trees.path(blocks, number);
    }

    function _maskedBlocks(Party memory party, uint256 number)
        internal
        view
        returns (ISumDisputes.Block[] memory parts)
    {
        parts = new ISumDisputes.Block[](party.members.length);
        uint256 count = 0;
        for (uint256 place = 0; place < party.members.length; ++place) {
            if (party.survivors >> place & 1 == 1) parts[count++] = _block(_masked(party, place), number);
        }
        assembly ("memory-safe") {
            mstore(parts, count)
        }
    }
}
