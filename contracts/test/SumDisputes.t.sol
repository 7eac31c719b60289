// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IMaskedRounds} from "../src/interfaces/IMaskedRounds.sol";
import {ISumDisputes} from "../src/interfaces/ISumDisputes.sol";
import {Curve25519} from "../src/libraries/Curve25519.sol";
import {MaskMembers} from "./base/MaskMembers.sol";
import {Sha256Trees} from "./base/Sha256Trees.sol";

/// @dev A dealer in place 0 of the first group may have dealt off its polynomial; everything else is as it should be.
contract SumDisputesTest is MaskMembers {
    address private constant BURNT = address(0xdEaD);

    // A place whose share of the dealer at place 0 is another than it should be, with a digest that fits it.
    uint256 private _forged = type(uint256).max;
    uint256 private _forgedBy;

    // Honest sums

    /// forge-config: default.fuzz.runs = 8
    function testFuzz_disputeSum_cannotRefuteAnHonestSum(uint8 shape) public {
        (Party[] memory parties, bytes32[] memory sums) = _posted(7, 4, shape % 4, 0);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        _openAll(parties[0], group);
        for (uint256 number = 0; number < BLOCKS; ++number) {
            _dispute(group, parties[0], _sum(parties[0]), number, _reason(ISumDisputes.SumHolds.selector, number));
        }
        vm.assertEq(masks.postedOf(group.study, group.round).refuted, 0);
    }

    function test_disputeSum_holdsInEachGroup() public {
        (Party[] memory parties, bytes32[] memory sums) = _posted(9, 4, 2, 0);
        vm.assertEq(parties.length, 2);
        for (uint256 i = 0; i < 2; ++i) {
            ISumDisputes.Group memory group = _group(parties, i, sums);
            _openAll(parties[i], group);
            _dispute(group, parties[i], _sum(parties[i]), 1, _reason(ISumDisputes.SumHolds.selector, 1));
        }
    }

    // Wrong sums: a wrong addition, a wrong self-mask, a wrong pairwise mask, in the first, a middle and the last block

    function test_disputeSum_refutesAWrongAddition() public {
        for (uint256 number = 0; number < BLOCKS; ++number) {
            uint256 state = vm.snapshotState();
            (Party[] memory parties, uint64 study) = _upToSums(6, 5, 2);
            bytes[] memory wrong = _sum(parties[0]);
            wrong[number][number == BLOCKS - 1 ? 16 : 40] ^= 0x01;
            _refutes(parties, study, wrong, number);
            vm.revertToState(state);
        }
    }

    function test_disputeSum_refutesASumThatKeepsASelfMask() public {
        for (uint256 number = 0; number < BLOCKS; ++number) {
            uint256 state = vm.snapshotState();
            (Party[] memory parties, uint64 study) = _upToSums(6, 5, 2);
            uint256 survivor = parties[0].survivors & 1 == 1 ? 0 : 1;
            bytes[] memory wrong = _sum(parties[0]);
            wrong[number] = _withMask(wrong[number], _selfSeed(parties[0], survivor), number);
            _refutes(parties, study, wrong, number);
            vm.revertToState(state);
        }
    }

    function test_disputeSum_refutesASumThatKeepsAPairwiseMask() public {
        for (uint256 number = 0; number < BLOCKS; ++number) {
            uint256 state = vm.snapshotState();
            (Party[] memory parties, uint64 study) = _upToSums(6, 5, 2);
            bytes[] memory wrong = _sum(parties[0]);
            wrong[number] = _withMask(wrong[number], _pairSeed(parties[0], 0, 1), number);
            _refutes(parties, study, wrong, number);
            vm.revertToState(state);
        }
    }

    /// What fills up the last block is no coordinate: nothing there is right or wrong.
    function test_disputeSum_ignoresWhatFillsUpTheLastBlock() public {
        (Party[] memory parties, uint64 study) = _upToSums(5, 5, 0);
        bytes[] memory odd = _sum(parties[0]);
        odd[BLOCKS - 1][63] = 0xff;
        bytes32[] memory sums = new bytes32[](1);
        sums[0] = Sha256Trees.root(odd);
        _post(study, 1, sums);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        _openAll(parties[0], group);
        _dispute(group, parties[0], odd, BLOCKS - 1, _reason(ISumDisputes.SumHolds.selector, BLOCKS - 1));
    }

    // Bond

    function test_disputeSum_paysHalfTheBondOnceAndBurnsTheRest() public {
        (Party[] memory parties, uint64 study) = _upToSums(9, 4, 0);
        bytes[] memory wrong = _sum(parties[0]);
        wrong[0][0] ^= 0x01;
        bytes[] memory alsoWrong = _sum(parties[1]);
        alsoWrong[1][0] ^= 0x01;
        bytes32[] memory sums = new bytes32[](2);
        (sums[0], sums[1]) = (Sha256Trees.root(wrong), Sha256Trees.root(alsoWrong));
        _post(study, 1, sums);

        ISumDisputes.Group memory group = _group(parties, 0, sums);
        _openAll(parties[0], group);
        vm.expectEmit(address(masks));
        emit IMaskedRounds.SumRefuted(study, 1, 0, 0, stranger, MASK_BOND / 2, MASK_BOND - MASK_BOND / 2);
        _dispute(group, parties[0], wrong, 0, "");
        vm.assertEq(token.balanceOf(stranger), MASK_BOND / 2);
        vm.assertEq(token.balanceOf(BURNT), MASK_BOND - MASK_BOND / 2);
        vm.assertEq(token.balanceOf(address(masks)), 0);
        _dispute(group, parties[0], wrong, 0, abi.encodeWithSelector(ISumDisputes.AlreadyRefuted.selector, study, 1, 0));

        group = _group(parties, 1, sums);
        _openAll(parties[1], group);
        _dispute(group, parties[1], alsoWrong, 1, "");
        vm.assertEq(token.balanceOf(stranger), MASK_BOND / 2);
        vm.assertEq(masks.postedOf(study, 1).refuted, 3);

        // And the study masks no further round.
        _close(study, _survivors(parties));
        _openRound(study);
        bytes32 key = _publicKey(0);
        vm.prank(_clinic(0));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.CoordinatorRefuted.selector, study));
        masks.announce(study, 2, 0, key);
    }

    function test_refute_isForTheDisputesContractAlone() public {
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotDisputes.selector, address(this)));
        masks.refute(1, 1, 0, 0, address(this));
    }

    /// Slots are used again by the next round, and a sum of the first can still be refuted.
    function test_disputeSum_reachesEarlierRounds() public {
        (Party[] memory parties, uint64 study) = _upToSums(5, 5, 1);
        bytes[] memory wrong = _sum(parties[0]);
        wrong[0][5] ^= 0x80;
        bytes32[] memory sums = new bytes32[](1);
        sums[0] = Sha256Trees.root(wrong);
        _post(study, 1, sums);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        _close(study, _survivors(parties));
        _openRound(study);
        _drawn(study, 31);
        _openAll(parties[0], group);
        _dispute(group, parties[0], wrong, 0, "");
        vm.assertEq(masks.postedOf(study, 1).refuted, 1);
    }

    // Demands

    /// A root of nothing: no block of it can be shown, by anyone.
    function test_demand_thatNobodyAnswersRefutesTheSum() public {
        (Party[] memory parties, uint64 study) = _upToSums(5, 5, 0);
        bytes32[] memory sums = new bytes32[](1);
        sums[0] = "no vector has this root";
        _post(study, 1, sums);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        uint128 deposit = _demand(group, 1);
        vm.assertEq(deposit, (MASK_BOND + 99) / 100);
        uint64 answerBy = uint64(block.timestamp) + DISPUTE_SECONDS;
        vm.assertEq(disputes.openDemands(study), 1);
        vm.expectRevert(abi.encodeWithSelector(ISumDisputes.WrongTime.selector, answerBy));
        disputes.settle(study, 1, 0, 1);
        ISumDisputes.Block memory part = _block(_sum(parties[0]), 1);
        vm.expectRevert(_reason(ISumDisputes.NotInVector.selector, 255));
        disputes.answer(group, 1, part);
        vm.warp(answerBy + 1);
        vm.expectRevert(abi.encodeWithSelector(ISumDisputes.WrongTime.selector, answerBy));
        disputes.answer(group, 1, part);
        disputes.settle(study, 1, 0, 1);
        vm.assertEq(masks.postedOf(study, 1).refuted, 1);
        vm.assertEq(token.balanceOf(stranger), MASK_BOND / 2 + deposit);
        vm.assertEq(token.balanceOf(address(disputes)), 0);
        vm.assertEq(disputes.openDemands(study), 0);
        vm.expectRevert(
            abi.encodeWithSelector(ISumDisputes.WrongDemand.selector, ISumDisputes.DemandState.Settled)
        );
        disputes.settle(study, 1, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(ISumDisputes.AlreadyRefuted.selector, study, 1, 0));
        disputes.demand(group, 0);
    }

    function test_answer_paysTheDepositToWhoPostedTheBond() public {
        (Party[] memory parties, bytes32[] memory sums) = _posted(5, 5, 0, 0);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        (uint64 study, bytes[] memory sum) = (group.study, _sum(parties[0]));
        uint128 deposit = _demand(group, 2);
        _repeated(group, 2, ISumDisputes.DemandState.Open);
        ISumDisputes.Block memory part = _block(sum, 2);
        vm.expectEmit(address(disputes));
        emit ISumDisputes.BlockShown(study, 1, 0, 2, part.words, part.path);
        disputes.answer(group, 2, part);
        vm.assertEq(token.balanceOf(coordinator), deposit);
        vm.assertEq(token.balanceOf(address(disputes)), 0);
        _repeated(group, 2, ISumDisputes.DemandState.Answered);
        vm.expectRevert(
            abi.encodeWithSelector(ISumDisputes.WrongDemand.selector, ISumDisputes.DemandState.Answered)
        );
        disputes.answer(group, 2, part);
        vm.expectRevert(abi.encodeWithSelector(ISumDisputes.WrongDemand.selector, ISumDisputes.DemandState.None));
        disputes.answer(group, 0, part);
        vm.expectRevert(abi.encodeWithSelector(ISumDisputes.NoSuchBlock.selector, 3, 3));
        disputes.demand(group, 3);
        group.context = "other";
        vm.expectRevert(abi.encodeWithSelector(ISumDisputes.UnknownGroup.selector, study, 1, 0));
        disputes.demand(group, 1);
    }

    function test_release_waitsForOpenDemands() public {
        (Party[] memory parties, bytes32[] memory sums) = _posted(5, 5, 0, 0);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        vm.warp(rounds.study(group.study).finishBy);
        rounds.abandon(group.study);
        _demand(group, 0);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.BondHeld.selector, group.study));
        masks.release(group.study);
        disputes.answer(group, 0, _block(_sum(parties[0]), 0));
        masks.release(group.study);
    }

    /// Two demands for a sum that is refuted by the first: the second one's deposit goes back.
    function test_settle_givesBackTheDepositOfASumRefutedMeanwhile() public {
        (Party[] memory parties, uint64 study) = _upToSums(5, 5, 0);
        bytes32[] memory sums = new bytes32[](1);
        sums[0] = "no vector has this root";
        _post(study, 1, sums);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        uint128 deposit = _demand(group, 0);
        _demand(group, 1);
        vm.warp(block.timestamp + DISPUTE_SECONDS + 1);
        disputes.settle(study, 1, 0, 1);
        disputes.settle(study, 1, 0, 0);
        vm.assertEq(token.balanceOf(stranger), MASK_BOND / 2 + 2 * deposit);
        vm.assertEq(token.balanceOf(address(disputes)), 0);
    }

    function _demand(ISumDisputes.Group memory group, uint32 number) private returns (uint128 deposit) {
        deposit = disputes.depositOf(group.study);
        _fund(stranger, address(disputes), deposit);
        vm.prank(stranger);
        disputes.demand(group, number);
    }

    function _repeated(ISumDisputes.Group memory group, uint32 number, ISumDisputes.DemandState state) private {
        vm.expectRevert(abi.encodeWithSelector(ISumDisputes.WrongDemand.selector, state));
        disputes.demand(group, number);
    }

    // What is not proof

    function test_openSeed_refusesWhatWasNotDealt() public {
        (Party[] memory parties, bytes32[] memory sums) = _posted(5, 5, 1, 0);
        Party memory party = parties[0];
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        uint256 dealer = party.survivors & 1 == 1 ? 0 : 1;
        ISumDisputes.Secret memory secret = _open(party, dealer, 2);
        bytes32 share = secret.shares[1].share;

        secret.shares[1].share = bytes32(uint256(share) ^ (1 << 200));
        _refusesSeed(group, secret, _reason(ISumDisputes.NotDealt.selector, secret.shares[1].place));
        // The same scalar in another form.
        secret.shares[1].share = bytes32(Curve25519.swap(bytes32(Curve25519.swap(share) + Curve25519.ORDER)));
        _refusesSeed(group, secret, _reason(ISumDisputes.NotDealt.selector, secret.shares[1].place));
        secret.shares[1].share = share;

        secret.points[1] = _point(5);
        _refusesSeed(group, secret, _reason(ISumDisputes.NotDealt.selector, dealer));
        secret = _open(party, dealer, 2);

        secret.shares[1] = secret.shares[0];
        _refusesSeed(group, secret, _reason(ISumDisputes.WrongPlace.selector, secret.shares[0].place));
        secret = _open(party, dealer, 2);

        secret.shares[0].place = uint8(dealer);
        _refusesSeed(group, secret, _reason(ISumDisputes.WrongPlace.selector, dealer));

        // Shares of the key do not open the seed.
        secret = _open(party, dealer, 1);
        _refusesSeed(group, secret, _reason(ISumDisputes.NotDealt.selector, secret.shares[0].place));

        ISumDisputes.Secret memory fewer = _open(party, dealer, 2);
        ISumDisputes.Share[] memory shares = fewer.shares;
        assembly ("memory-safe") {
            mstore(shares, sub(mload(shares), 1))
        }
        _refusesSeed(
            group,
            fewer,
            abi.encodeWithSelector(ISumDisputes.WrongShareCount.selector, party.threshold - 1, party.threshold)
        );
    }

    function test_openSeed_isForSurvivorsAndOpenPairsForDropped() public {
        (Party[] memory parties, bytes32[] memory sums) = _posted(6, 5, 2, 0);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        // Place 1 dealt and dropped out.
        ISumDisputes.Secret memory dropped = _open(parties[0], 1, 2);
        _refusesSeed(group, dropped, _reason(ISumDisputes.WrongPlace.selector, 1));
        ISumDisputes.Secret memory staying = _open(parties[0], 0, 1);
        uint8[] memory survivors = new uint8[](1);
        vm.expectRevert(_reason(ISumDisputes.WrongPlace.selector, 0));
        disputes.openPairs(group, staying, survivors);
        dropped = _open(parties[0], 1, 1);
        survivors[0] = 1;
        vm.expectRevert(_reason(ISumDisputes.WrongPlace.selector, 1));
        disputes.openPairs(group, dropped, survivors);
        survivors[0] = 200;
        vm.expectRevert(_reason(ISumDisputes.WrongPlace.selector, 200));
        disputes.openPairs(group, dropped, survivors);
        dropped.place = 77;
        vm.expectRevert(_reason(ISumDisputes.WrongPlace.selector, 77));
        disputes.openPairs(group, dropped, survivors);
    }

    /// A dealer and a neighbour in league record a digest of a share off the polynomial. With it their shares give another secret,
    /// which would refute an honest sum.
    function test_openSeed_refusesAnotherSecretThanTheDealtPoint() public {
        (_forged, _forgedBy) = (1, 1);
        (Party[] memory parties, bytes32[] memory sums) = _posted(5, 5, 0, 0);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        ISumDisputes.Secret memory secret = _open(parties[0], 0, 2);
        uint256 share = _shareOf(parties[0], 0, 2, 1);
        secret.shares[0].share = bytes32(Curve25519.swap(bytes32(addmod(share, _forgedBy, Curve25519.ORDER))));
        _refusesSeed(group, secret, _reason(ISumDisputes.WrongSecret.selector, 0));
    }

    function test_disputeSum_needsTheRecordedGroup() public {
        (Party[] memory parties, bytes32[] memory sums) = _posted(6, 5, 2, 0);
        ISumDisputes.Group memory right = _group(parties, 0, sums);
        ISumDisputes.Secret memory secret = _open(parties[0], 0, 2);
        bytes memory unknown = abi.encodeWithSelector(ISumDisputes.UnknownGroup.selector, right.study, 1, 0);
        for (uint256 spoilt = 0; spoilt < 10; ++spoilt) {
            ISumDisputes.Group memory group = _group(parties, 0, sums);
            if (spoilt == 0) group.commitBy += 1;
            if (spoilt == 1) group.context = "other";
            if (spoilt == 2) group.survivors ^= 1;
            if (spoilt == 3) group.sum = "other";
            if (spoilt == 4) group.seats[2].key = "other";
            if (spoilt == 5) group.seats[2].digestsRoot = "other";
            if (spoilt == 6) group.seats[2].uploadRoot = 0;
            if (spoilt == 7) group.groups[0] = "other";
            if (spoilt == 8) group.groups = new bytes32[](0);
            if (spoilt == 9) (group.seats[1], group.seats[2]) = (group.seats[2], group.seats[1]);
            _refusesSeed(group, secret, unknown);
        }
        right.round = 2;
        _refusesSeed(right, secret, abi.encodeWithSelector(ISumDisputes.UnknownGroup.selector, right.study, 2, 0));
    }

    function test_disputeSum_needsEverySeedAndTheBlocksThemselves() public {
        (Party[] memory parties, bytes32[] memory sums) = _posted(6, 5, 2, 0);
        Party memory party = parties[0];
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        _dispute(group, party, _sum(party), 0, abi.encodeWithSelector(ISumDisputes.SeedMissing.selector, 0, 0));
        disputes.openSeed(group, _open(party, 0, 2));
        _dispute(group, party, _sum(party), 0, abi.encodeWithSelector(ISumDisputes.SeedMissing.selector, 0, 1));
        _openAll(party, group);

        ISumDisputes.Block memory posted = _block(_sum(party), 0);
        ISumDisputes.Block[] memory masked = _maskedBlocks(party, 0);
        vm.expectRevert(_reason(ISumDisputes.NotInVector.selector, 255));
        disputes.disputeSum(group, 1, posted, masked);
        posted.words[0] ^= bytes32(uint256(1));
        vm.expectRevert(_reason(ISumDisputes.NotInVector.selector, 255));
        disputes.disputeSum(group, 0, posted, masked);
        posted = _block(_sum(party), 0);
        masked[2].words[1] ^= bytes32(uint256(1));
        vm.expectRevert(_reason(ISumDisputes.NotInVector.selector, 3));
        disputes.disputeSum(group, 0, posted, masked);
        masked = _maskedBlocks(party, 0);
        assembly ("memory-safe") {
            mstore(masked, sub(mload(masked), 1))
        }
        vm.expectRevert(_reason(ISumDisputes.NotInVector.selector, 5));
        disputes.disputeSum(group, 0, posted, masked);
        masked = _maskedBlocks(party, 3 - 1);
        posted = _block(_sum(party), 3 - 1);
        vm.expectRevert(_reason(ISumDisputes.NotInVector.selector, 255));
        disputes.disputeSum(group, 3, posted, masked);
    }

    // Rounds

    /// @dev A round of honest sums. `shape` 0: nobody is lost; 1: place 1 does not deal; 2: place 1 deals and drops out; 3: place 2 does
    /// not deal and place 1 drops out.
    function _posted(uint256 members, uint8 groupSize, uint256 shape, uint256)
        private
        returns (Party[] memory parties, bytes32[] memory sums)
    {
        uint64 study;
        (parties, study) = _upToSums(members, groupSize, shape);
        sums = _honestSums(parties);
        _post(study, 1, sums);
    }

    function _upToSums(uint256 members, uint8 groupSize, uint256 shape)
        private
        returns (Party[] memory parties, uint64 study)
    {
        study = _masking(members, groupSize);
        _drawn(study, type(uint64).max >> (64 - members));
        uint32 silent = shape == 1 ? 2 : shape == 3 ? 4 : 0;
        parties = _upToShares(study, silent, shape >= 2 ? 2 : 0);
    }

    function _refutes(Party[] memory parties, uint64 study, bytes[] memory wrong, uint256 number) private {
        bytes32[] memory sums = _honestSums(parties);
        sums[0] = Sha256Trees.root(wrong);
        _post(study, 1, sums);
        ISumDisputes.Group memory group = _group(parties, 0, sums);
        _openAll(parties[0], group);
        for (uint256 other = 0; other < BLOCKS; ++other) {
            if (other != number) _dispute(group, parties[0], wrong, other, _reason(ISumDisputes.SumHolds.selector, other));
        }
        _dispute(group, parties[0], wrong, number, "");
        vm.assertEq(masks.postedOf(study, 1).refuted, 1);
    }

    function _dispute(
        ISumDisputes.Group memory group,
        Party memory party,
        bytes[] memory sum,
        uint256 number,
        bytes memory refusal
    ) private {
        ISumDisputes.Block memory posted = _block(sum, number);
        ISumDisputes.Block[] memory masked = _maskedBlocks(party, number);
        vm.prank(stranger);
        if (refusal.length != 0) vm.expectRevert(refusal);
        disputes.disputeSum(group, uint32(number), posted, masked);
    }

    function _refusesSeed(ISumDisputes.Group memory group, ISumDisputes.Secret memory secret, bytes memory refusal)
        private
    {
        vm.expectRevert(refusal);
        disputes.openSeed(group, secret);
    }

    function _reason(bytes4 selector, uint256 value) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, value);
    }

    function _withMask(bytes memory part, bytes32 seed, uint256 number) private pure returns (bytes memory) {
        uint256[16] memory words;
        for (uint256 i = 0; i < 16; ++i) {
            for (uint256 j = 4; j != 0;) {
                --j;
                words[i] = words[i] << 8 | uint8(part[4 * i + j]);
            }
        }
        _addMask(words, seed, number, true);
        return _encode(words, number);
    }

    /// @dev With the forged digest, where there is one.
    function _leaves(Party memory party, uint256 dealer) internal view override returns (bytes[] memory leaves) {
        leaves = super._leaves(party, dealer);
        if (dealer != 0 || _forged >= leaves.length) return leaves;
        uint256 share = addmod(_shareOf(party, 0, 2, _forged), _forgedBy, Curve25519.ORDER);
        bytes32 digest = sha256(
            abi.encodePacked(
                "cw/share", uint8(2), uint16(0), uint16(_forged), Curve25519.swap(bytes32(share))
            )
        );
        leaves[_forged] = abi.encodePacked(
            uint16(_forged), _digest(party, 0, 1, _forged), digest, _digest(party, 0, 3, _forged)
        );
    }
}
