// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../src/interfaces/IInferenceDispute.sol";
import {Neuron} from "../src/libraries/Neuron.sol";
import {Disputes} from "./base/Disputes.sol";
import {Networks} from "./base/Networks.sol";
import {Trees} from "./base/Trees.sol";

/// @dev Games over claims about public weights.
contract InferenceDisputeGamesTest is Disputes {
    using Networks for Networks.Network;

    function test_finalise_acceptsWhatNobodyChallenged() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        _assertStatus(played.id, IInferenceDispute.Status.Pending);
        vm.warp(START + WINDOW);
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceDispute.TooEarly.selector, START + WINDOW, START + WINDOW + 1)
        );
        dispute.finalise(played.game.claim);
        vm.warp(START + WINDOW + 1);
        vm.prank(stranger);
        dispute.finalise(played.game.claim);
        _assertStatus(played.id, IInferenceDispute.Status.Accepted);
        _assertCredit(claimant, CLAIM_BOND);
    }

    /// @dev One lie in each kind of layer, at any element: the challenger who knows the truth wins.
    /// forge-config: default.fuzz.runs = 24
    /// forge-config: long.fuzz.runs = 256
    function testFuzz_step_catchesALieInEachKindOfLayer(uint256 layer, uint256 element) public {
        Played memory played = _play(_everyKind());
        layer = _bound(layer, 0, 5);
        element = _bound(element, 0, Networks.elements(played.network.architecture, layer + 1) - 1);
        _lie(played, layer, element);
        _claim(played);
        uint256 index = _challenge(played, challenger, uint8(layer));
        _reveal(played, index);
        _step(played, index, layer, element);
        _assertChallengerWon(played.id, challenger);
        _assertPhase(played.id, index, IInferenceDispute.Phase.ChallengerWon);
    }

    function test_step_findsNoFaultInAnyElementOfAnHonestClaim() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        for (uint8 layer = 0; layer < 6; ++layer) {
            uint256 index = _challenge(played, challenger, layer);
            _reveal(played, index);
            for (uint256 element = 0; element < Networks.elements(played.network.architecture, layer + 1); element += 7) {
                (
                    IInferenceDispute.Opening memory output,
                    IInferenceDispute.Opening memory input,
                    IInferenceDispute.Opening memory second
                ) = _openings(played, layer, element);
                int256 truth = played.network.value(played.nodes, layer, element);
                vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.NoFault.selector, truth));
                dispute.step(played.game, index, element, output, input, second);
            }
        }
        vm.warp(START + RESPONSE + 1);
        for (uint256 index = 0; index < 6; ++index) {
            dispute.settle(played.game.claim, index);
        }
        _assertCredit(claimant, 6 * (CHALLENGE_BOND - _burntOf(CHALLENGE_BOND)));
        vm.assertEq(dispute.burnt(), 6 * _burntOf(CHALLENGE_BOND));
        vm.warp(START + WINDOW + 1);
        dispute.finalise(played.game.claim);
        _assertStatus(played.id, IInferenceDispute.Status.Accepted);
    }

    /// forge-config: default.fuzz.runs = 24
    /// forge-config: long.fuzz.runs = 256
    function testFuzz_step_refusesASpoiltOpening(uint256 which, uint256 byteIndex, uint8 change) public {
        Played memory played = _play(_everyKind());
        _lie(played, 2, 13);
        _claim(played);
        uint256 index = _challenge(played, challenger, 2);
        _reveal(played, index);
        (
            IInferenceDispute.Opening memory output,
            IInferenceDispute.Opening memory input,
            IInferenceDispute.Opening memory second
        ) = _openings(played, 2, 13);
        IInferenceDispute.Opening memory spoilt = which % 3 == 0 ? output : which % 3 == 1 ? input : second;
        change = uint8(_bound(change, 1, 255));
        uint256 leafBytes = spoilt.leaves.length;
        byteIndex = _bound(byteIndex, 0, leafBytes + 32 * spoilt.siblings.length - 1);
        if (byteIndex < leafBytes) {
            spoilt.leaves[byteIndex] ^= bytes1(change);
        } else {
            uint256 sibling = (byteIndex - leafBytes) / 32;
            spoilt.siblings[sibling] ^= bytes32(uint256(change) << 8 * (byteIndex % 32));
        }
        vm.expectPartialRevert(Neuron.InvalidOpening.selector);
        dispute.step(played.game, index, 13, output, input, second);
    }

    function test_step_refusesLongerAndShorterOpenings() public {
        Played memory played = _play(_everyKind());
        _lie(played, 0, 40);
        _claim(played);
        uint256 index = _challenge(played, challenger, 0);
        _reveal(played, index);
        (
            IInferenceDispute.Opening memory output,
            IInferenceDispute.Opening memory input,
            IInferenceDispute.Opening memory second
        ) = _openings(played, 0, 40);
        bytes memory leaves = input.leaves;
        bytes32[] memory siblings = input.siblings;
        input.leaves = abi.encodePacked(leaves, bytes32(0));
        vm.expectPartialRevert(Neuron.InvalidOpening.selector);
        dispute.step(played.game, index, 40, output, input, second);
        input.leaves = Trees.slice(leaves, 0, leaves.length - 32);
        vm.expectPartialRevert(Neuron.InvalidOpening.selector);
        dispute.step(played.game, index, 40, output, input, second);
        input.leaves = leaves;
        input.siblings = new bytes32[](siblings.length + 1);
        for (uint256 i = 0; i < siblings.length; ++i) {
            input.siblings[i] = siblings[i];
        }
        vm.expectPartialRevert(Neuron.InvalidOpening.selector);
        dispute.step(played.game, index, 40, output, input, second);
        input.siblings = siblings;
        _step(played, index, 0, 40);
        _assertChallengerWon(played.id, challenger);
    }

    // Trees that are not what they should be

    function _assertCannotReveal(Played memory played, bytes memory committed, bytes32 root) private {
        bytes32[] memory roots = Networks.roots(played.nodes);
        roots[2] = root;
        _claimRoots(played, roots, _terms(), true);
        uint256 index = _challenge(played, challenger, 1);
        bytes[2] memory tries = [played.nodes[2], committed];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.RootMismatch.selector, root));
            dispute.reveal(played.game, index, tries[i], new bytes32[](0));
        }
        vm.warp(block.timestamp + RESPONSE + 1);
        dispute.settle(played.game.claim, index);
        _assertChallengerWon(played.id, challenger);
    }

    function test_reveal_isImpossibleForATreeOfAnotherLength() public {
        Played memory played = _play(_everyKind());
        bytes memory longer = abi.encodePacked(played.nodes[2], uint8(0));
        _assertCannotReveal(played, longer, Trees.root(longer));
    }

    function test_reveal_isImpossibleForAShorterTree() public {
        Played memory played = _play(_everyKind());
        bytes memory shorter = Trees.slice(played.nodes[2], 0, 26);
        _assertCannotReveal(played, shorter, Trees.root(shorter));
    }

    function test_reveal_isImpossibleIfTheLastLeafDoesNotEndInZeros() public {
        Played memory played = _play(_everyKind());
        bytes memory padded = abi.encodePacked(played.nodes[2], hex"0000000001");
        bytes32 root = keccak256(
            abi.encode(keccak256("counterweight/inference/bytes/v1"), uint256(27), Trees.node(padded, 0, 0))
        );
        _assertCannotReveal(played, padded, root);
    }

    /// @dev Where the last node of an odd level is doubled instead of raised, two strings can have one root.
    function test_reveal_isImpossibleForATreeWithADoubledLeaf() public {
        // Conv output: 108 bytes, so four leaves; a pooled node of three leaves is made by another network.
        bytes memory architecture = abi.encodePacked(
            Networks.header(3, 1, 1, 3),
            Networks.dense(0, 2, 9, 2, 96),
            Networks.dense(1, 2, 9, 2, 96),
            Networks.dense(2, 1, 0, 2, 2)
        );
        Played memory played = _play(architecture);
        bytes memory node = played.nodes[2];
        bytes32 pair = keccak256(abi.encode(Trees.node(node, 0, 2), Trees.node(node, 0, 2)));
        bytes32 top = keccak256(abi.encode(Trees.node(node, 1, 0), pair));
        bytes32 root = keccak256(abi.encode(keccak256("counterweight/inference/bytes/v1"), uint256(96), top));
        _assertCannotReveal(played, abi.encodePacked(node, Trees.slice(node, 64, 96)), root);
    }

    function testFuzz_rootOf_isThatOfThePlainTree(bytes32 seed, uint256 length) public view {
        bytes memory data = Networks.numbers(seed, _bound(length, 1, 700));
        vm.assertEq(dispute.rootOf(data), Trees.root(data));
    }

    /// @dev The same number as in the Rust tests.
    function test_rootOf_isPinned() public view {
        bytes memory data = new bytes(100);
        for (uint256 i = 0; i < 100; ++i) {
            data[i] = bytes1(uint8(i));
        }
        vm.assertEq(dispute.rootOf(data), 0xe9b6c6ae281e0a608c531a50f33686a6790091204ea796625622b9d6c43d3283);
    }

    function test_claim_checksInputAndOutputAgainstTheirRoots() public {
        Played memory played = _play(_everyKind());
        bytes32[] memory roots = Networks.roots(played.nodes);
        bytes32 model = models.register(played.network.architecture, Networks.roots(played.network.weights));
        bytes memory output = played.nodes[6];
        bytes memory input = played.nodes[0];
        output[3] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.RootMismatch.selector, roots[6]));
        dispute.claimOpen{value: CLAIM_BOND}(model, CONTEXT, _terms(), roots, input, output);
        output[3] ^= 0x01;
        input[71] ^= 0x80;
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.RootMismatch.selector, roots[0]));
        dispute.claimOpen{value: CLAIM_BOND}(model, CONTEXT, _terms(), roots, input, output);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.WrongLength.selector, 40, 41));
        dispute.claimOpen{value: CLAIM_BOND}(model, CONTEXT, _terms(), roots, "", abi.encodePacked(output, uint8(0)));
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.WrongBond.selector, CLAIM_BOND, CLAIM_BOND - 1));
        dispute.claimOpen{value: CLAIM_BOND - 1}(model, CONTEXT, _terms(), roots, "", output);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.UnknownModel.selector, bytes32("none")));
        dispute.claimOpen{value: CLAIM_BOND}("none", CONTEXT, _terms(), roots, "", output);
    }

    // Silence at every move

    /// @dev Waits until a move is overdue and settles; the deadline itself still counts as in time.
    function _silence(Played memory played, uint256 index) private {
        uint64 deadline = dispute.challengeOf(played.id, index).deadline;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.TooEarly.selector, deadline, deadline + 1));
        dispute.settle(played.game.claim, index);
        vm.warp(deadline + 1);
        vm.prank(stranger);
        dispute.settle(played.game.claim, index);
    }

    function _assertClaimantWon(Played memory played, uint256 index) private view {
        _assertPhase(played.id, index, IInferenceDispute.Phase.ClaimantWon);
        _assertStatus(played.id, IInferenceDispute.Status.Pending);
        _assertCredit(claimant, CHALLENGE_BOND - _burntOf(CHALLENGE_BOND));
        _assertCredit(challenger, 0);
    }

    function test_silence_atRevealLosesTheClaim() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        uint256 index = _challenge(played, challenger, 3);
        _silence(played, index);
        _assertChallengerWon(played.id, challenger);
    }

    function test_silence_afterRevealLosesTheChallenge() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        uint256 index = _challenge(played, challenger, 3);
        _reveal(played, index);
        _silence(played, index);
        _assertClaimantWon(played, index);
    }

    function test_silence_atPublishLosesTheClaim() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        vm.prank(challenger);
        uint256 index = dispute.demand{value: CHALLENGE_BOND}(played.game, 0, 0);
        _silence(played, index);
        _assertChallengerWon(played.id, challenger);
    }

    function test_silence_afterPublishLosesTheChallenge() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        vm.prank(challenger);
        uint256 index = dispute.demand{value: CHALLENGE_BOND}(played.game, INPUT, 0);
        vm.prank(stranger);
        dispute.publish(played.game, index, played.nodes[0], new bytes32[](0));
        _silence(played, index);
        _assertClaimantWon(played, index);
    }

    /// @dev The weights that were asked for, then the layer: one game.
    function test_demand_endsInAStepWhenTheWeightsShowTheLie() public {
        Played memory played = _play(_everyKind());
        _lie(played, 0, 5);
        _claim(played, _terms(), false);
        vm.prank(challenger);
        uint256 index = dispute.demand{value: CHALLENGE_BOND}(played.game, 0, 0);
        dispute.publish(played.game, index, played.network.weights[0], new bytes32[](0));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.NotYourMove.selector, challenger, stranger));
        dispute.name(played.game, index, 0);
        vm.prank(challenger);
        dispute.name(played.game, index, 0);
        _reveal(played, index);
        _step(played, index, 0, 5);
        _assertChallengerWon(played.id, challenger);
    }

    function test_demand_isForWhatThereIs() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.NoWeights.selector, 1));
        dispute.demand{value: CHALLENGE_BOND}(played.game, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.OutOfRange.selector, 1, 1));
        dispute.demand{value: CHALLENGE_BOND}(played.game, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.OutOfRange.selector, 6, 6));
        dispute.demand{value: CHALLENGE_BOND}(played.game, 6, 0);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.OutOfRange.selector, 6, 6));
        dispute.challenge{value: CHALLENGE_BOND}(played.game, 6);
    }

    // Last seconds

    function test_moves_countInTheLastSecondAndNotAfterIt() public {
        Played memory played = _play(_everyKind());
        _lie(played, 4, 1);
        _claim(played);
        vm.warp(START + WINDOW + 1);
        vm.prank(challenger);
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceDispute.TooLate.selector, START + WINDOW + 1, START + WINDOW)
        );
        dispute.challenge{value: CHALLENGE_BOND}(played.game, 4);
        vm.warp(START + WINDOW);
        uint256 index = _challenge(played, challenger, 4);
        uint64 deadline = uint64(START) + WINDOW + RESPONSE;
        vm.warp(deadline + 1);
        bytes memory node = played.nodes[5];
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.TooLate.selector, deadline + 1, deadline));
        dispute.reveal(played.game, index, node, new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.StillChallenged.selector, played.id, 1));
        dispute.finalise(played.game.claim);
        vm.warp(deadline);
        _reveal(played, index);
        vm.warp(deadline + RESPONSE);
        _step(played, index, 4, 1);
        _assertChallengerWon(played.id, challenger);
        vm.assertLe(block.timestamp, dispute.latestEnd(played.game.claim));
    }

    // Several challengers

    function test_challenges_runSideBySideAndOneSuccessEndsTheClaim() public {
        Played memory played = _play(_everyKind());
        _lie(played, 2, 0);
        _claim(played);
        uint256 wrong = _challenge(played, other, 0);
        vm.warp(START + 60);
        uint256 right = _challenge(played, challenger, 2);
        vm.assertEq(dispute.challengeOf(played.id, wrong).deadline, START + RESPONSE);
        vm.assertEq(dispute.challengeOf(played.id, right).deadline, START + 60 + RESPONSE);
        _reveal(played, right);
        _step(played, right, 2, 0);
        _assertChallengerWon(played.id, challenger);
        // Neither won nor lost: his bond comes back, and nothing else.
        dispute.settle(played.game.claim, wrong);
        _assertPhase(played.id, wrong, IInferenceDispute.Phase.Returned);
        _assertCredit(other, CHALLENGE_BOND);
        vm.expectRevert(
            abi.encodeWithSelector(
                IInferenceDispute.WrongPhase.selector, played.id, wrong, IInferenceDispute.Phase.Returned
            )
        );
        dispute.settle(played.game.claim, wrong);
        vm.expectRevert(
            abi.encodeWithSelector(
                IInferenceDispute.NotPending.selector, played.id, IInferenceDispute.Status.Rejected
            )
        );
        _challenge(played, other, 2);
    }

    function test_challenges_eachCostTheirOwnBond() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        uint256 first = _challenge(played, challenger, 0);
        uint256 second = _challenge(played, other, 0);
        _reveal(played, first);
        _reveal(played, second);
        vm.warp(START + RESPONSE + 1);
        dispute.settle(played.game.claim, first);
        dispute.settle(played.game.claim, second);
        _assertCredit(claimant, 2 * (CHALLENGE_BOND - _burntOf(CHALLENGE_BOND)));
        (uint32 count, uint32 open) = dispute.challengesOf(played.id);
        vm.assertEq(count, 2);
        vm.assertEq(open, 0);
    }

    // What does not belong to the claim

    function test_moves_refuseWhatIsNotTheClaims() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        bytes32 model = played.game.claim.model;
        played.game.claim.model = "another";
        vm.expectPartialRevert(IInferenceDispute.NotPending.selector);
        dispute.challenge{value: CHALLENGE_BOND}(played.game, 0);
        played.game.claim.model = model;
        played.game.architecture[36] ^= 0x01;
        vm.expectPartialRevert(IInferenceDispute.HashMismatch.selector);
        dispute.challenge{value: CHALLENGE_BOND}(played.game, 0);
        played.game.architecture[36] ^= 0x01;
        played.game.roots[2] ^= bytes32(uint256(1));
        vm.expectPartialRevert(IInferenceDispute.HashMismatch.selector);
        dispute.challenge{value: CHALLENGE_BOND}(played.game, 0);
        played.game.roots[2] ^= bytes32(uint256(1));
        played.game.weightRoots[0] ^= bytes32(uint256(1));
        vm.expectPartialRevert(IInferenceDispute.HashMismatch.selector);
        dispute.challenge{value: CHALLENGE_BOND}(played.game, 0);
        played.game.weightRoots[0] ^= bytes32(uint256(1));
        _challenge(played, challenger, 0);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.WrongLane.selector, 0));
        dispute.challengeSealed{value: CHALLENGE_BOND}(played.game.claim);
    }

    function test_claim_refusesTermsOutsideTheirBounds() public {
        IInferenceDispute.Terms[7] memory wrong;
        for (uint256 i = 0; i < 7; ++i) {
            wrong[i] = _terms();
        }
        wrong[0].window = 0;
        wrong[1].window = 30 days + 1;
        wrong[2].response = 0;
        wrong[3].response = 30 days + 1;
        wrong[4].burntPpm = 249_999;
        wrong[5].burntPpm = 500_001;
        wrong[6].auditPpm = 1;
        Played memory played = _play(_everyKind());
        bytes32[] memory roots = Networks.roots(played.nodes);
        bytes32 model = models.register(played.network.architecture, Networks.roots(played.network.weights));
        for (uint256 i = 0; i < 7; ++i) {
            vm.expectPartialRevert(IInferenceDispute.InvalidTerms.selector);
            dispute.claimOpen{value: CLAIM_BOND}(model, CONTEXT, wrong[i], roots, "", played.nodes[6]);
        }
    }

    // Money

    function test_withdraw_paysOnce() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        vm.warp(START + WINDOW + 1);
        dispute.finalise(played.game.claim);
        vm.prank(claimant);
        dispute.withdraw(payable(stranger));
        vm.assertEq(stranger.balance, 1000 ether + CLAIM_BOND);
        vm.prank(claimant);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.NothingCredited.selector, claimant));
        dispute.withdraw(payable(stranger));
    }

    function test_withdraw_holdsAgainstAReceiverThatCallsBack() public {
        Grabber grabber = new Grabber(dispute);
        vm.deal(address(grabber), CLAIM_BOND);
        Played memory played = _play(_everyKind());
        bytes32 model = models.register(played.network.architecture, Networks.roots(played.network.weights));
        // Somebody else's money is there to be taken.
        _claim(played);
        IInferenceDispute.Claim memory claim = played.game.claim;
        claim.claimant = address(grabber);
        vm.prank(address(grabber));
        dispute.claimOpen{value: CLAIM_BOND}(
            model, CONTEXT, _terms(), played.game.roots, played.nodes[0], played.nodes[6]
        );
        vm.warp(START + WINDOW + 1);
        dispute.finalise(claim);
        grabber.grab();
        vm.assertTrue(grabber.tried());
        vm.assertFalse(grabber.succeeded());
        vm.assertEq(address(grabber).balance, CLAIM_BOND);
        vm.assertEq(address(dispute).balance, CLAIM_BOND);
    }

    function test_withdraw_toAReceiverThatRefusesKeepsTheCredit() public {
        Played memory played = _play(_everyKind());
        _claim(played);
        vm.warp(START + WINDOW + 1);
        dispute.finalise(played.game.claim);
        vm.prank(claimant);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.PaymentRefused.selector, address(models)));
        dispute.withdraw(payable(address(models)));
        _assertCredit(claimant, CLAIM_BOND);
    }
}

/// @title A receiver that asks again while it is being paid
contract Grabber {
    IInferenceDispute private immutable _dispute;
    bool public tried;
    bool public succeeded;

    constructor(IInferenceDispute dispute) {
        _dispute = dispute;
    }

    function grab() external {
        _dispute.withdraw(payable(address(this)));
    }

    receive() external payable {
        if (tried) return;
        tried = true;
        (succeeded,) = address(_dispute).call(abi.encodeCall(_dispute.withdraw, (payable(address(this)))));
    }
}
