// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {DevelopmentToken} from "../src/DevelopmentToken.sol";
import {System} from "./base/System.sol";

contract DevelopmentTokenTest is System {
    function test_mint_isForTheDeployer() public {
        token.mint(stranger, 5);
        vm.assertEq(token.balanceOf(stranger), 5);
        vm.assertEq(token.minter(), address(this));
        vm.assertEq(token.decimals(), 18);
        vm.expectRevert(abi.encodeWithSelector(DevelopmentToken.NotMinter.selector, stranger));
        vm.prank(stranger);
        token.mint(stranger, 5);
    }

    function test_permit_approvesBySignature() public {
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                _clinic(0),
                address(rounds),
                7,
                0,
                START
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(_key(0), keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), message)));
        vm.prank(stranger);
        token.permit(_clinic(0), address(rounds), 7, START, v, r, s);
        vm.assertEq(token.allowance(_clinic(0), address(rounds)), 7);
    }
}
