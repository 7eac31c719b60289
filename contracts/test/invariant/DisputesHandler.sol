// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../../src/interfaces/IInferenceDispute.sol";
import {Disputes} from "../base/Disputes.sol";
import {Networks} from "../base/Networks.sol";

/// @title Claimants, challengers and strangers doing what they like with claims, true and false
/// @dev Every claim is about one small network: two dense layers, each of which may lie. Keeps its own account of what is owed.
contract DisputesHandler is Disputes {
    using Networks for Networks.Network;

    Played[] private _played;
    bool[2][] private _lies;
    IInferenceDispute.Claim[] private _sealedClaims;
    address[4] private _people;

    /// @notice Wei that were sent to the contract and not withdrawn
    uint256 public held;
    /// @notice Claims and challenges that a right party lost although it was never silent
    uint256 public injustices;
    /// @notice How often each end was reached, to see that the runs go anywhere
    mapping(IInferenceDispute.Phase phase => uint256) public ends;

    constructor() {
        setUp();
        _people = [claimant, challenger, other, stranger];
    }

    /// @dev Once: the fuzzer may call it too.
    function setUp() public override {
        if (address(dispute) == address(0)) super.setUp();
    }

    function account(uint256 index) external view returns (address) {
        return _people[index];
    }

    function contractAt() external view returns (IInferenceDispute) {
        return dispute;
    }

    function claimCount() external view returns (uint256) {
        return _played.length + _sealedClaims.length;
    }

    function claimAt(uint256 index) public view returns (IInferenceDispute.Claim memory) {
        return index < _played.length ? _played[index].game.claim : _sealedClaims[index - _played.length];
    }

    function _small() private pure returns (bytes memory) {
        return abi.encodePacked(
            Networks.header(2, 3, 1, 1), Networks.dense(0, 2, 8, 1, 3), Networks.dense(1, 1, 0, 1, 2)
        );
    }

    function claim(bool first, bool second) external {
        if (_played.length >= 4) return;
        Played memory played = _play(_small());
        if (first) _lie(played, 0, 0);
        if (second) played.nodes[2][3] ^= 0x01;
        _claim(played);
        held += CLAIM_BOND;
        _played.push();
        _store(_played[_played.length - 1], played);
        _lies.push([first, second]);
    }

    /// @dev The compiler cannot copy nested arrays to storage in one go.
    function _store(Played storage to, Played memory from) private {
        to.id = from.id;
        to.network.architecture = from.network.architecture;
        to.game.claim = from.game.claim;
        to.game.architecture = from.game.architecture;
        to.game.weightRoots = from.game.weightRoots;
        to.game.roots = from.game.roots;
        for (uint256 i = 0; i < from.nodes.length; ++i) {
            to.nodes.push(from.nodes[i]);
        }
        for (uint256 i = 0; i < from.network.weights.length; ++i) {
            to.network.weights.push(from.network.weights[i]);
        }
    }

    function claimSealed(uint32 auditPpm) external {
        if (_sealedClaims.length >= 3) return;
        IInferenceDispute.Terms memory terms = _terms();
        terms.auditPpm = auditPpm % 1_000_001;
        (IInferenceDispute.Claim memory made,) =
            _sealed(IInferenceDispute.Lane.Sealed, terms, abi.encode("output", _sealedClaims.length));
        _sealedClaims.push(made);
        held += CLAIM_BOND;
    }

    function challenge(uint256 which, uint256 person, uint8 layer, bool asks) public {
        if (_played.length == 0) return;
        Played memory played = _played[which % _played.length];
        vm.prank(_people[person % 4]);
        if (asks) dispute.demand{value: CHALLENGE_BOND}(played.game, layer % 4 == 3 ? INPUT : layer % 2, 0);
        else dispute.challenge{value: CHALLENGE_BOND}(played.game, layer % 2);
        held += CHALLENGE_BOND;
    }

    /// @dev Whatever move is due, made as well as it can be; a challenger picks any element.
    function move(uint256 which, uint256 index, uint256 choice) public {
        if (_played.length == 0) return;
        which %= _played.length;
        Played memory played = _played[which];
        (uint32 count,) = dispute.challengesOf(played.id);
        if (count == 0) return;
        index %= count;
        IInferenceDispute.Challenge memory state = dispute.challengeOf(played.id, index);
        if (state.phase == IInferenceDispute.Phase.Publish) {
            bytes memory data = state.layer == INPUT ? played.nodes[0] : played.network.weights[state.layer];
            dispute.publish(played.game, index, data, new bytes32[](0));
        } else if (state.phase == IInferenceDispute.Phase.Name) {
            vm.prank(state.challenger);
            dispute.name(played.game, index, uint8(choice % 2));
        } else if (state.phase == IInferenceDispute.Phase.Reveal) {
            _reveal(played, index);
        } else if (state.phase == IInferenceDispute.Phase.Point) {
            uint256 elements = Networks.elements(played.network.architecture, uint256(state.layer) + 1);
            _step(played, index, state.layer, choice % elements);
            // A step that went through found a fault: the layer must have lied.
            if (!_lies[which][state.layer]) ++injustices;
            ++ends[IInferenceDispute.Phase.ChallengerWon];
        }
    }

    /// @dev A challenge and the moves after it, so that runs get far.
    function playThrough(uint256 which, uint256 person, uint8 layer) external {
        if (_played.length == 0) return;
        which %= _played.length;
        (uint32 index,) = dispute.challengesOf(_played[which].id);
        challenge(which, person, layer, false);
        move(which, index, 0);
        move(which, index, layer % 2 * (layer % 4 / 2));
    }

    function challengeSealed(uint256 which, uint256 person) external {
        if (_sealedClaims.length == 0) return;
        vm.prank(_people[person % 4]);
        dispute.challengeSealed{value: CHALLENGE_BOND}(_sealedClaims[which % _sealedClaims.length]);
        held += CHALLENGE_BOND;
    }

    function draw(uint256 which) external {
        if (_sealedClaims.length == 0) return;
        dispute.draw(_sealedClaims[which % _sealedClaims.length]);
    }

    function prove(uint256 which) external {
        if (_sealedClaims.length == 0) return;
        which %= _sealedClaims.length;
        IInferenceDispute.Claim memory made = _sealedClaims[which];
        bytes memory output = abi.encode("output", which);
        bytes memory proof = _proof(made, output);
        dispute.prove(made, _input(), output, proof);
    }

    function settle(uint256 which, uint256 index) external {
        uint256 count = _played.length + _sealedClaims.length;
        if (count == 0) return;
        IInferenceDispute.Claim memory made = claimAt(which % count);
        bytes32 id = dispute.idOf(made);
        (uint32 challenges,) = dispute.challengesOf(id);
        if (challenges == 0) return;
        index %= challenges;
        dispute.settle(made, index);
        ++ends[dispute.challengeOf(id, index).phase];
    }

    function finalise(uint256 which) external {
        uint256 count = _played.length + _sealedClaims.length;
        if (count == 0) return;
        dispute.finalise(claimAt(which % count));
    }

    function withdraw(uint256 person) external {
        address who = _people[person % 4];
        uint256 amount = dispute.creditOf(who);
        vm.prank(who);
        dispute.withdraw(payable(who));
        held -= amount;
    }

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 20 minutes);
        vm.roll(block.number + seconds_ % 5);
    }
}
