"""web3.py on a running devnet: flow.py ENDPOINTS-FILE, where web3 is installed.

Its contracts are those that `node lib/contracts.mjs` compiles. Ends with the number of
checks, or with the first that did not hold.
"""

import asyncio
import json
import pathlib
import sys

from eth_account import Account
from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError, ContractLogicError, ContractPanicError, TransactionNotFound, Web3RPCError

Account.enable_unaudited_hdwallet_features()
MNEMONIC = "test test test test test test test test test test test junk"

root = pathlib.Path(__file__).parent.parent
contracts = json.loads((root / "build" / "contracts.json").read_text())
rollup = json.loads(pathlib.Path(sys.argv[1]).read_text())["rollups"][0]
w3 = Web3(Web3.HTTPProvider(rollup["rpc"]))
purse = Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/7")
checks = 0


def check(what, holds):
    global checks
    checks += 1
    if not holds:
        sys.exit(f"FAILED: {what}")


def refused(what, kind, text, call):
    try:
        call()
    except kind as e:
        check(f"{what}: {e!r} says {text!r}", text in str(e))
        return e
    check(f"{what} is refused", False)


def send(account, tx):
    tx = {"from": account.address, "chainId": rollup["chain_id"], "nonce": w3.eth.get_transaction_count(account.address, "pending"), **tx}
    if "gas" not in tx:
        tx["gas"] = w3.eth.estimate_gas({k: v for k, v in tx.items() if k not in ("nonce", "chainId")})
    if "gasPrice" not in tx and "maxFeePerGas" not in tx:
        base = w3.eth.get_block("latest")["baseFeePerGas"]
        tx |= {"maxPriorityFeePerGas": w3.eth.max_priority_fee, "maxFeePerGas": 2 * base + w3.eth.max_priority_fee}
    tx.pop("from")
    return w3.eth.send_raw_transaction(account.sign_transaction(tx).raw_transaction)


def mined(tx_hash):
    return w3.eth.wait_for_transaction_receipt(tx_hash, poll_latency=0.05, timeout=20)


def deploy(account, name, *args):
    c = contracts[name]
    factory = w3.eth.contract(abi=c["abi"], bytecode=c["bytecode"])
    receipt = mined(send(account, {"data": factory.constructor(*args).data_in_transaction, "value": 0}))
    return w3.eth.contract(address=receipt["contractAddress"], abi=c["abi"]), receipt


def transactions(alice):
    to = Account.create().address
    before = w3.eth.get_balance(alice.address)
    receipt = mined(send(alice, {"to": to, "value": w3.to_wei("0.5", "ether")}))
    check("EIP-1559 transfer", receipt["status"] == 1 and receipt["type"] == 2 and receipt["gasUsed"] == 21000)
    check("balance", w3.eth.get_balance(to) == w3.to_wei("0.5", "ether"))
    check("fee", before - w3.eth.get_balance(alice.address) == w3.to_wei("0.5", "ether") + 21000 * receipt["effectiveGasPrice"])
    tx = w3.eth.get_transaction(receipt["transactionHash"])
    check("transaction", tx["blockHash"] == receipt["blockHash"] and tx["from"] == alice.address)
    check("legacy", mined(send(alice, {"to": to, "value": 1, "gasPrice": w3.eth.gas_price * 2}))["type"] == 0)
    listed = mined(send(alice, {"to": to, "value": 1, "gas": 30000, "gasPrice": w3.eth.gas_price * 2, "accessList": [{"address": to, "storageKeys": []}]}))
    check("EIP-2930", listed["type"] == 1)
    batch, _ = deploy(alice, "Batch")
    nonce = w3.eth.get_transaction_count(alice.address)
    auth = alice.sign_authorization({"chainId": rollup["chain_id"], "address": batch.address, "nonce": nonce + 1})
    set_code = mined(send(alice, {"to": alice.address, "value": 0, "gas": 100000, "authorizationList": [auth]}))
    check("EIP-7702", set_code["type"] == 4 and w3.eth.get_code(alice.address).hex() == "ef0100" + batch.address[2:].lower())
    gone = alice.sign_authorization({"chainId": rollup["chain_id"], "address": "0x" + "00" * 20, "nonce": nonce + 3})
    mined(send(alice, {"to": alice.address, "value": 0, "gas": 100000, "authorizationList": [gone]}))
    check("taken away", w3.eth.get_code(alice.address) == b"")
    refused("nonce too low", Web3RPCError, "nonce too low", lambda: send(alice, {"to": to, "value": 1, "nonce": 0}))
    refused("no funds", Web3RPCError, "insufficient funds", lambda: send(alice, {"to": to, "value": 10**24, "gas": 21000}))
    refused("unknown", TransactionNotFound, "not found", lambda: w3.eth.get_transaction("0x" + "11" * 32))


def calls(alice):
    token, created = deploy(alice, "Token", "Coin", "CN")
    check("call", token.functions.name().call() == "Coin")
    receipt = mined(send(alice, token.functions.mint(alice.address, 7).build_transaction({"from": alice.address})))
    (event,) = token.events.Transfer().process_receipt(receipt)
    check("event", event["args"]["value"] == 7 and event["args"]["to"] == alice.address)
    logs = token.events.Transfer().get_logs(from_block=created["blockNumber"], argument_filters={"to": alice.address})
    check("get_logs", [e["transactionHash"] for e in logs] == [receipt["transactionHash"]])
    check("in the past", token.functions.balanceOf(alice.address).call(block_identifier=created["blockNumber"]) == 0)
    check("pending", token.functions.balanceOf(alice.address).call(block_identifier="pending") == 7)
    override = {token.address: {"code": contracts["Batch"]["deployed"]}}
    data = w3.eth.contract(abi=contracts["Batch"]["abi"]).encode_abi("getBlockNumber")
    check("override", int.from_bytes(w3.eth.call({"to": token.address, "data": data}, "latest", override), "big") > 0)

    faults, _ = deploy(alice, "Faults")
    refused("reason", ContractLogicError, "a reason in words", lambda: faults.functions.reason().call())
    refused("custom error", ContractCustomError, "0x", lambda: faults.functions.custom(5).call({"from": alice.address}))
    refused("panic", ContractPanicError, "0x11", lambda: faults.functions.overflow(1).call())
    refused("estimate", ContractCustomError, "0x", lambda: faults.functions.custom(5).estimate_gas({"from": alice.address}))
    proof = w3.eth.get_proof(token.address, [2])
    check("proof", int.from_bytes(proof["storageProof"][0]["value"], "big") == 7)
    listed = w3.eth.create_access_list({"from": alice.address, "to": token.address, "data": token.encode_abi("mint", [alice.address, 1])})
    check("access list", len(listed["accessList"]) == 1)
    (block,) = w3.eth.simulate_v1({"blockStateCalls": [{"calls": [{"from": alice.address, "to": token.address, "data": token.encode_abi("mint", [alice.address, 1])}]}]}, "latest")
    check("simulate_v1", block["calls"][0]["status"] == 1 and len(block["calls"][0]["logs"]) == 1)
    return token


def chain(alice, token):
    check("chain ID", w3.eth.chain_id == rollup["chain_id"] and w3.net.version == str(rollup["chain_id"]))
    check("connected", w3.is_connected() and w3.eth.syncing is False)
    latest = w3.eth.get_block("latest", full_transactions=True)
    check("by hash", w3.eth.get_block(latest["hash"], True) == latest)
    check("receipts", len(w3.eth.get_block_receipts(latest["number"])) == len(latest["transactions"]))
    history = w3.eth.fee_history(2, "latest", [50])
    check("fee history", len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1)
    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_block("earliest"))
        batch.add(w3.eth.get_balance(alice.address))
        first, balance = batch.execute()
    check("batch", first["number"] == 0 and balance > 0)
    new = w3.eth.filter({"address": token.address})
    blocks = w3.eth.filter("latest")
    receipt = mined(send(alice, token.functions.mint(alice.address, 1).build_transaction({"from": alice.address})))
    check("log filter", [e["transactionHash"] for e in new.get_new_entries()] == [receipt["transactionHash"]])
    check("block filter", receipt["blockHash"] in blocks.get_new_entries())
    check("uninstall", w3.eth.uninstall_filter(new.filter_id))
    for tag in ("safe", "finalized"):
        check(tag, w3.eth.get_block(tag)["number"] <= w3.eth.block_number)


async def subscriptions(alice, token):
    async with AsyncWeb3(WebSocketProvider(rollup["ws"])) as ws:
        heads = await ws.eth.subscribe("newHeads")
        logs = await ws.eth.subscribe("logs", {"address": token.address})
        pending = await ws.eth.subscribe("newPendingTransactions")
        tx_hash = send(alice, token.functions.mint(alice.address, 2).build_transaction({"from": alice.address}))
        left = {heads, logs, pending}
        async with asyncio.timeout(20):
            async for message in ws.socket.process_subscriptions():
                kind, told = message["subscription"], message["result"]
                if kind == heads and told["number"] > 0 or kind == logs and told["transactionHash"] == tx_hash or kind == pending and told == tx_hash:
                    left.discard(kind)
                if not left:
                    break
        check("newHeads, logs, newPendingTransactions", not left)
        check("asynchronous calls", await ws.eth.get_balance(alice.address) > 0)


alice = Account.create()
mined(send(purse, {"to": alice.address, "value": w3.to_wei(5, "ether")}))
transactions(alice)
token = calls(alice)
chain(alice, token)
asyncio.run(subscriptions(alice, token))
print(f"{checks} checks, 0 failed, with web3.py {__import__('web3').__version__}")
