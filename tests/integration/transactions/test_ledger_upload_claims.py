"""Claims of uploads in a ledger: one of many is let in, on both databases."""

import asyncio

from tests.support.ledgers import only_level_2, pass_time

UPLOAD = "pending/6921c0de.x/cat.png"


@only_level_2
async def test_of_many_who_claim_an_upload_one_does(ledger, storage):
    outcomes = await asyncio.gather(*(ledger.claim_upload(storage, UPLOAD, 60) for _ in range(8)))
    assert sorted(outcomes) == [False] * 7 + [True]
    assert not await ledger.claim_upload(storage, UPLOAD, 60)
    assert await ledger.claim_upload(storage, f"{UPLOAD}2", 60)


@only_level_2
async def test_a_claim_that_is_given_up_is_free(ledger, storage):
    for _ in range(2):
        assert await ledger.claim_upload(storage, UPLOAD, 60)
        await ledger.release_upload(storage, UPLOAD)


@only_level_2
async def test_a_claim_ends_with_its_time_and_what_was_sent_again_goes(ledger, storage, left):
    await storage.upload(b"again", UPLOAD)
    assert await ledger.claim_upload(storage, UPLOAD, 60)
    await ledger.drain()
    assert await storage.exists(UPLOAD)
    await pass_time(ledger)
    await ledger.drain()
    assert not await storage.exists(UPLOAD)
    assert await left() == set()
    assert await ledger.claim_upload(storage, UPLOAD, 60)
