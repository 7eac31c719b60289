// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IAssetRegistry} from "../src/interfaces/IAssetRegistry.sol";
import {IConsentRegistry} from "../src/interfaces/IConsentRegistry.sol";
import {System} from "./base/System.sol";

/// @dev A steward that is a contract, and takes one signature.
contract StewardContract is IERC1271 {
    bytes32 private immutable _accepted;

    constructor(bytes memory signature) {
        _accepted = keccak256(signature);
    }

    function isValidSignature(bytes32, bytes calldata signature) external view returns (bytes4) {
        return keccak256(signature) == _accepted ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

contract ConsentRegistryTest is System {
    address private immutable steward = _clinic(0);
    uint64 private dataset;

    function setUp() public override {
        super.setUp();
        dataset = _dataset(0);
    }

    function test_consent_isEmptyBeforeTheFirstGrant() public {
        _expectConsent(0, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, PURPOSE, 0));
        consents.requireConsent(dataset, PURPOSE);
        vm.assertFalse(consents.isAllowed(999, PURPOSE), "unknown asset");
    }

    function testFuzz_grant_allowsExactlyWhatItNames(uint160 purposes, uint8 purpose) public {
        vm.assume(purposes != 0);
        vm.expectEmit(address(consents));
        emit IConsentRegistry.ConsentGranted(dataset, steward, purposes, 0, 1);
        _grant(purposes, 0);
        bool expected = purpose < 160 && purposes & uint160(1 << uint256(purpose)) != 0;
        vm.assertTrue(consents.isAllowed(dataset, purpose) == expected);
        if (!expected) {
            vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, purpose, 1));
            consents.requireConsent(dataset, purpose);
        } else {
            vm.assertEq(consents.requireConsent(dataset, purpose), 1);
        }
    }

    function test_grant_replacesTheOneBefore() public {
        _grant(0x0f, uint64(START + 100));
        _grant(0xf0, 0);
        _expectConsent(0xf0, 0, 2);
    }

    function test_grant_byAnApprovedOperatorIsTheStewards() public {
        vm.prank(steward);
        assets.setApprovalForAll(stranger, true);
        vm.expectEmit(address(consents));
        emit IConsentRegistry.ConsentGranted(dataset, steward, PURPOSES, 0, 1);
        vm.prank(stranger);
        consents.grant(dataset, PURPOSES, 0);
    }

    function test_grant_revertsForAnybodyElse() public {
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.NotSteward.selector, dataset, stranger));
        vm.prank(stranger);
        consents.grant(dataset, PURPOSES, 0);
    }

    function test_grant_revertsForAnUnknownAsset() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 999));
        vm.prank(steward);
        consents.grant(999, PURPOSES, 0);
    }

    function test_grant_revertsForWhatIsNotADataset() public {
        uint64 model = _register(steward, IAssetRegistry.Kind.Model, "model");
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.NotADataset.selector, model));
        vm.prank(steward);
        consents.grant(model, PURPOSES, 0);
    }

    function test_grant_revertsWithoutPurposes() public {
        vm.expectRevert(IConsentRegistry.PurposesMissing.selector);
        vm.prank(steward);
        consents.grant(dataset, 0, 0);
    }

    function testFuzz_grant_revertsWithAnExpiryThatIsOver(uint64 expiry) public {
        expiry = uint64(_bound(expiry, 1, START));
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.ExpiryInPast.selector, expiry, START));
        vm.prank(steward);
        consents.grant(dataset, PURPOSES, expiry);
    }

    function testFuzz_grant_revertsWithAnExpiryThatIsNotKept(uint64 expiry) public {
        expiry = uint64(_bound(expiry, 1 << 40, type(uint64).max));
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.ExpiryTooFar.selector, expiry));
        vm.prank(steward);
        consents.grant(dataset, PURPOSES, expiry);
    }

    function testFuzz_grant_endsWithItsExpiry(uint40 expiry, uint40 later) public {
        expiry = uint40(_bound(expiry, START + 1, type(uint40).max));
        _grant(PURPOSES, expiry);
        vm.warp(expiry - 1);
        vm.assertTrue(consents.isAllowed(dataset, PURPOSE));
        vm.warp(uint256(expiry) + later);
        vm.assertFalse(consents.isAllowed(dataset, PURPOSE));
        _expectConsent(0, expiry, 1);
    }

    function test_revoke_withdrawsWhatItNamesAndNothingElse() public {
        _grant(0xff, uint64(START + 100));
        vm.expectEmit(address(consents));
        emit IConsentRegistry.ConsentRevoked(dataset, steward, 0x10f, 2);
        vm.prank(steward);
        consents.revoke(dataset, 0x10f);
        _expectConsent(0xf0, uint64(START + 100), 2);
    }

    function test_revoke_revertsForAnybodyElse() public {
        _grant(PURPOSES, 0);
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.NotSteward.selector, dataset, stranger));
        vm.prank(stranger);
        consents.revoke(dataset, PURPOSES);
    }

    function test_revoke_revertsWithoutPurposes() public {
        vm.expectRevert(IConsentRegistry.PurposesMissing.selector);
        vm.prank(steward);
        consents.revoke(dataset, 0);
    }

    function test_transfer_endsConsentForGood() public {
        _grant(PURPOSES, 0);
        _transfer(steward, stranger);
        _expectConsent(0, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, PURPOSE, 1));
        consents.requireConsent(dataset, PURPOSE);

        // It does not come back with the token.
        _transfer(stranger, steward);
        vm.assertFalse(consents.isAllowed(dataset, PURPOSE));
        _grant(PURPOSES, 0);
        vm.assertTrue(consents.isAllowed(dataset, PURPOSE));
    }

    function test_transfer_makesTheNewOwnerTheSteward() public {
        _transfer(steward, stranger);
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.NotSteward.selector, dataset, steward));
        vm.prank(steward);
        consents.grant(dataset, PURPOSES, 0);
        vm.prank(stranger);
        consents.grant(dataset, PURPOSES, 0);
        vm.assertTrue(consents.isAllowed(dataset, PURPOSE));
    }

    function test_revoke_byANewOwnerDoesNotReviveTheFormerOwnersGrant() public {
        _grant(0xff, 0);
        _transfer(steward, stranger);
        vm.prank(stranger);
        consents.revoke(dataset, 0x01);
        _expectConsent(0, 0, 2);
    }

    function test_grantBySignature_letsAnybodyBringTheStewardsGrant() public {
        uint64 expiry = uint64(START + 1 days);
        bytes memory signature = _signGrant(_key(0), PURPOSES, expiry, consents.nonce(dataset), uint64(START));
        vm.prank(stranger);
        vm.assertEq(consents.grantBySignature(dataset, PURPOSES, expiry, uint64(START), signature), 1);
        _expectConsent(PURPOSES, expiry, 1);
    }

    function test_grantBySignature_revertsTheSecondTime() public {
        bytes memory signature = _signGrant(_key(0), PURPOSES, 0, consents.nonce(dataset), uint64(START));
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), signature);
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), signature);
    }

    function test_grantBySignature_revertsAfterAnyLaterDecision() public {
        _grant(PURPOSES, 0);
        bytes memory kept = _signGrant(_key(0), PURPOSES, 0, consents.nonce(dataset), uint64(START));
        vm.prank(steward);
        consents.revoke(dataset, PURPOSES);
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), kept);
    }

    function test_grantBySignature_revertsAfterTheTokenWentAwayAndCameBack() public {
        bytes memory kept = _signGrant(_key(0), PURPOSES, 0, consents.nonce(dataset), uint64(START));
        _transfer(steward, stranger);
        _transfer(stranger, steward);
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), kept);
    }

    function testFuzz_grantBySignature_revertsForAnotherSigner(uint256 clinic) public {
        vm.assume(clinic != 0);
        bytes memory signature = _signGrant(_key(clinic), PURPOSES, 0, consents.nonce(dataset), uint64(START));
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), signature);
    }

    function testFuzz_grantBySignature_revertsForOtherValuesThanSigned(uint160 purposes, uint40 expiry) public {
        expiry = uint40(_bound(expiry, START + 1, type(uint40).max));
        vm.assume(purposes != 0 && purposes != PURPOSES);
        bytes memory signature = _signGrant(_key(0), PURPOSES, 0, consents.nonce(dataset), uint64(START));
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, purposes, 0, uint64(START), signature);
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, PURPOSES, expiry, uint64(START), signature);
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START) + 1, signature);
    }

    function test_grantBySignature_revertsForAnotherDataset() public {
        uint64 other = _dataset(0);
        bytes memory signature = _signGrant(_key(0), PURPOSES, 0, consents.nonce(dataset), uint64(START));
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(other, PURPOSES, 0, uint64(START), signature);
    }

    function test_grantBySignature_revertsAfterItsDeadline() public {
        bytes memory signature = _signGrant(_key(0), PURPOSES, 0, consents.nonce(dataset), uint64(START));
        vm.warp(START + 1);
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.SignatureExpired.selector, START));
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), signature);
    }

    function testFuzz_grantBySignature_revertsForAnythingThatIsNoSignature(bytes calldata signature) public {
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), signature);
    }

    function test_grantBySignature_asksAStewardThatIsAContract() public {
        address safe = address(new StewardContract("yes"));
        _transfer(steward, safe);
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), "no");
        consents.grantBySignature(dataset, PURPOSES, 0, uint64(START), "yes");
        vm.assertTrue(consents.isAllowed(dataset, PURPOSE));
    }

    function test_revokeBySignature_isAsEasyAsGranting() public {
        _grant(0xff, 0);
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Revoke(uint64 datasetId,uint160 purposes,uint256 nonce,uint64 deadline)"),
                dataset,
                uint160(0x0f),
                consents.nonce(dataset),
                uint64(START)
            )
        );
        bytes memory signature = _sign(_key(0), message);
        vm.prank(stranger);
        consents.revokeBySignature(dataset, 0x0f, uint64(START), signature);
        _expectConsent(0xf0, 0, 2);
        vm.expectRevert(IConsentRegistry.InvalidSignature.selector);
        consents.revokeBySignature(dataset, 0x0f, uint64(START), signature);
    }

    function _grant(uint160 purposes, uint64 expiry) private {
        vm.prank(steward);
        consents.grant(dataset, purposes, expiry);
    }

    function _transfer(address from, address to) private {
        vm.prank(from);
        assets.transferFrom(from, to, dataset);
    }

    function _signGrant(uint256 key, uint160 purposes, uint64 expiry, uint256 nonce, uint64 deadline)
        private
        view
        returns (bytes memory)
    {
        return _sign(
            key,
            keccak256(
                abi.encode(
                    keccak256(
                        "Grant(uint64 datasetId,uint160 purposes,uint64 expiry,uint256 nonce,uint64 deadline)"
                    ),
                    dataset,
                    purposes,
                    expiry,
                    nonce,
                    deadline
                )
            )
        );
    }

    /// @dev EIP-712 written out, so that the contract's own helpers are not what checks them.
    function _sign(uint256 key, bytes32 message) private view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Counterweight ConsentRegistry"),
                keccak256("1"),
                block.chainid,
                address(consents)
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked("\x19\x01", domain, message)));
        return abi.encodePacked(r, s, v);
    }

    function _expectConsent(uint160 purposes, uint64 expiry, uint32 epoch) private view {
        IConsentRegistry.Consent memory consent = consents.consent(dataset);
        vm.assertEq(consent.purposes, purposes);
        vm.assertEq(consent.expiry, expiry);
        vm.assertEq(consent.epoch, epoch);
    }
}
