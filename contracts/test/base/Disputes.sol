// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {InferenceDispute} from "../../src/InferenceDispute.sol";
import {OpenModels} from "../../src/OpenModels.sol";
import {IInferenceDispute} from "../../src/interfaces/IInferenceDispute.sol";
import {Networks} from "./Networks.sol";
import {PretendVerifier} from "./PretendVerifier.sol";
import {Test} from "./Test.sol";
import {Trees} from "./Trees.sol";

/// @title The dispute contracts, networks to dispute over, and the people who do
abstract contract Disputes is Test {
    using Networks for Networks.Network;

    uint256 internal constant START = 1_800_000_000;
    uint32 internal constant WINDOW = 1 hours;
    uint32 internal constant RESPONSE = 15 minutes;
    uint96 internal constant CLAIM_BOND = 10 ether;
    uint96 internal constant CHALLENGE_BOND = 1 ether;
    uint32 internal constant BURNT_PPM = 400_000;
    bytes32 internal constant CONTEXT = "job 7";
    uint8 internal constant INPUT = 255;

    address internal immutable claimant = vm.addr(uint256(keccak256("claimant")));
    address internal immutable challenger = vm.addr(uint256(keccak256("challenger")));
    address internal immutable other = vm.addr(uint256(keccak256("other challenger")));
    address internal immutable stranger = vm.addr(uint256(keccak256("stranger")));

    OpenModels internal models;
    PretendVerifier internal verifier;
    InferenceDispute internal dispute;

    /// @dev A claim as its maker sees it: all nodes as claimed.
    struct Played {
        Networks.Network network;
        bytes[] nodes;
        IInferenceDispute.Game game;
        bytes32 id;
    }

    function setUp() public virtual {
        vm.warp(START);
        vm.roll(1000);
        models = OpenModels(_deploy("OpenModels", ""));
        verifier = new PretendVerifier();
        dispute = InferenceDispute(_deploy("InferenceDispute", abi.encode(models, verifier)));
        address[4] memory people = [claimant, challenger, other, stranger];
        for (uint256 i = 0; i < 4; ++i) {
            vm.deal(people[i], 1000 ether);
        }
        vm.label(claimant, "claimant");
        vm.label(challenger, "challenger");
        vm.label(other, "other challenger");
        vm.label(stranger, "stranger");
    }

    /// @dev Deploys a committed artifact, so that what is tested is what is deployed.
    function _deploy(string memory name, bytes memory arguments) internal returns (address deployed) {
        bytes memory code = abi.encodePacked(vm.getCode(string.concat("artifacts/", name, ".json")), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        require(deployed != address(0), name);
    }

    function _terms() internal pure returns (IInferenceDispute.Terms memory) {
        return IInferenceDispute.Terms({
            window: WINDOW,
            response: RESPONSE,
            burntPpm: BURNT_PPM,
            auditPpm: 0,
            claimBond: CLAIM_BOND,
            challengeBond: CHALLENGE_BOND
        });
    }

    // Networks

    /// @dev Every kind of layer, small: convolution, max pool, convolution, addition, average pool, raw dense layer.
    function _everyKind() internal pure returns (bytes memory) {
        return abi.encodePacked(
            Networks.header(6, 2, 6, 6),
            Networks.conv(0, 9, 3, 1, 3, 6, 6),
            Networks.maxPool(1, 3, 3, 3),
            Networks.conv(2, 9, 3, 1, 3, 3, 3),
            Networks.add(2, 3, 3, 3, 3),
            Networks.averagePool(4, 3, 5, 4, 3, 1, 1),
            Networks.dense(5, 1, 0, 2, 10)
        );
    }

    /// @dev A first layer of 33,800 elements, three blocks, and rows of 33,800 terms, nine tiles.
    function _large() internal pure returns (bytes memory) {
        return abi.encodePacked(
            Networks.header(2, 1, 130, 130),
            Networks.conv(0, 7, 1, 0, 2, 130, 130),
            Networks.dense(1, 1, 0, 3, 2)
        );
    }

    // Open claims

    function _play(bytes memory architecture) internal pure returns (Played memory played) {
        played.network = Networks.make(architecture, "weights");
        bytes memory input = Networks.numbers("input", Networks.elements(architecture, 0));
        played.nodes = played.network.run(input);
    }

    /// @dev Changes one element of what layer `layer` is claimed to give, and computes on from it.
    function _lie(Played memory played, uint256 layer, uint256 element) internal pure {
        bytes memory architecture = played.network.architecture;
        bool raw = Networks.isRaw(architecture, layer + 1);
        int256 truth = played.network.value(played.nodes, layer, element);
        Networks.put(played.nodes[layer + 1], raw, element, truth == 127 ? int256(126) : truth + 1);
        for (uint256 next = layer + 1; next < Networks.layers(architecture); ++next) {
            raw = Networks.isRaw(architecture, next + 1);
            for (uint256 i = 0; i < Networks.elements(architecture, next + 1); ++i) {
                Networks.put(played.nodes[next + 1], raw, i, played.network.value(played.nodes, next, i));
            }
        }
    }

    function _claim(Played memory played) internal {
        _claim(played, _terms(), played.nodes[0].length <= 16_384);
    }

    function _claim(Played memory played, IInferenceDispute.Terms memory terms, bool withInput) internal {
        _claimRoots(played, Networks.roots(played.nodes), terms, withInput);
    }

    function _claimRoots(
        Played memory played,
        bytes32[] memory roots,
        IInferenceDispute.Terms memory terms,
        bool withInput
    ) internal {
        played.game.architecture = played.network.architecture;
        played.game.weightRoots = Networks.roots(played.network.weights);
        played.game.roots = roots;
        bytes32 model = models.register(played.game.architecture, played.game.weightRoots);
        bytes memory output = played.nodes[played.nodes.length - 1];
        vm.prank(claimant);
        played.id = dispute.claimOpen{value: terms.claimBond}(
            model, CONTEXT, terms, roots, withInput ? played.nodes[0] : bytes(""), output
        );
        IInferenceDispute.Claim memory claim = played.game.claim;
        claim.model = model;
        claim.context = CONTEXT;
        claim.input = roots[0];
        claim.output = keccak256(output);
        claim.trace = keccak256(abi.encodePacked(roots));
        claim.claimant = claimant;
        claim.madeAt = uint64(block.timestamp);
        claim.madeIn = uint64(block.number);
        claim.lane = IInferenceDispute.Lane.Open;
        claim.terms = terms;
        vm.assertEq(dispute.idOf(claim), played.id, "id");
    }

    function _challenge(Played memory played, address by, uint8 layer) internal returns (uint256) {
        vm.prank(by);
        return dispute.challenge{value: CHALLENGE_BOND}(played.game, layer);
    }

    function _reveal(Played memory played, uint256 index) internal {
        IInferenceDispute.Challenge memory state = dispute.challengeOf(played.id, index);
        bytes memory node = played.nodes[uint256(state.layer) + 1];
        uint256 from = uint256(state.part) * 16_384;
        dispute.reveal(
            played.game,
            index,
            Trees.slice(node, from, from + 16_384),
            Trees.blockPath(node, state.part)
        );
    }

    function _openings(Played memory played, uint256 layer, uint256 element)
        internal
        pure
        returns (
            IInferenceDispute.Opening memory output,
            IInferenceDispute.Opening memory input,
            IInferenceDispute.Opening memory second
        )
    {
        bool raw = Networks.isRaw(played.network.architecture, layer + 1);
        output = Networks.openElement(played.nodes[layer + 1], raw, element);
        (input, second) = played.network.openStep(played.nodes, layer, element);
    }

    function _step(Played memory played, uint256 index, uint256 layer, uint256 element) internal {
        (
            IInferenceDispute.Opening memory output,
            IInferenceDispute.Opening memory input,
            IInferenceDispute.Opening memory second
        ) = _openings(played, layer, element);
        dispute.step(played.game, index, element, output, input, second);
    }

    // Sealed claims

    function _sealedModel() internal returns (bytes32) {
        return verifier.registerModel(_everyKind(), "commitment", "proof");
    }

    function _sealed(IInferenceDispute.Lane lane, IInferenceDispute.Terms memory terms, bytes memory output)
        internal
        returns (IInferenceDispute.Claim memory claim, bytes32 id)
    {
        claim.model = _sealedModel();
        claim.context = CONTEXT;
        claim.input = lane == IInferenceDispute.Lane.Private ? bytes32("commitment") : Trees.root(_input());
        claim.output = keccak256(output);
        claim.claimant = claimant;
        claim.madeAt = uint64(block.timestamp);
        claim.madeIn = uint64(block.number);
        claim.lane = lane;
        claim.terms = terms;
        vm.prank(claimant);
        id = dispute.claimSealed{value: terms.claimBond}(lane, claim.model, CONTEXT, terms, claim.input, output);
        vm.assertEq(dispute.idOf(claim), id, "id");
    }

    function _input() internal pure returns (bytes memory) {
        return Networks.numbers("input", 72);
    }

    function _proof(IInferenceDispute.Claim memory claim, bytes memory output) internal view returns (bytes memory) {
        bytes32 input = claim.lane == IInferenceDispute.Lane.Private ? claim.input : keccak256(_input());
        return verifier.prove(claim.model, claim.context, input, output);
    }

    // What is owed

    function _assertCredit(address account, uint256 expected) internal view {
        vm.assertEq(dispute.creditOf(account), expected, "credit");
    }

    function _assertStatus(bytes32 id, IInferenceDispute.Status expected) internal view {
        vm.assertEq(uint256(dispute.statusOf(id)), uint256(expected), "status");
    }

    function _assertPhase(bytes32 id, uint256 index, IInferenceDispute.Phase expected) internal view {
        vm.assertEq(uint256(dispute.challengeOf(id, index).phase), uint256(expected), "phase");
    }

    function _burntOf(uint256 bond) internal pure returns (uint256) {
        return (bond * BURNT_PPM + 999_999) / 1_000_000;
    }

    /// @dev The challenger won: the claimant's bond without the burnt part, and his own back.
    function _assertChallengerWon(bytes32 id, address winner) internal view {
        _assertStatus(id, IInferenceDispute.Status.Rejected);
        _assertCredit(winner, CLAIM_BOND - _burntOf(CLAIM_BOND) + CHALLENGE_BOND);
        _assertCredit(claimant, 0);
        vm.assertEq(dispute.burnt(), _burntOf(CLAIM_BOND), "burnt");
    }
}
