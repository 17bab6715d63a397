"""Hypothesis strategies for LDAP values."""

from __future__ import annotations

from hypothesis import strategies as st

from protocols.ldap import filters
from protocols.ldap.messages import (
    AbandonRequest,
    AddRequest,
    AddResponse,
    Attribute,
    BindRequest,
    BindResponse,
    Change,
    ChangeKind,
    CompareRequest,
    CompareResponse,
    Control,
    DeleteRequest,
    DeleteResponse,
    Deref,
    ExtendedRequest,
    ExtendedResponse,
    IntermediateResponse,
    ModifyDnRequest,
    ModifyDnResponse,
    ModifyRequest,
    ModifyResponse,
    Sasl,
    Scope,
    SearchRequest,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    Simple,
    UnbindRequest,
)
from protocols.ldap.results import Result, ResultCode

text = st.text(max_size=12)
octets = st.binary(max_size=12) | st.binary(min_size=126, max_size=300)
some_octets = st.binary(min_size=1, max_size=12)
descriptions = st.from_regex(r"[a-z][a-zA-Z0-9-]{0,8}(;[a-z0-9]{1,4})?", fullmatch=True)
oids = st.from_regex(r"[1-9](\.[1-9][0-9]?){1,5}", fullmatch=True)
numbers = st.integers(0, 0x7FFFFFFF)

substrings = st.builds(
    filters.Substrings,
    descriptions,
    st.none() | some_octets,
    st.lists(some_octets, max_size=3).map(tuple),
    st.none() | some_octets,
).filter(lambda each: each.initial is not None or each.any or each.final is not None)

extensible = st.builds(
    filters.Extensible, st.none() | oids, st.none() | descriptions, octets, st.booleans()
).filter(lambda each: each.rule is not None or each.attribute is not None)

items = st.one_of(
    *(
        st.builds(kind, descriptions, octets)
        for kind in (filters.Equal, filters.GreaterOrEqual, filters.LessOrEqual, filters.Approx)
    ),
    st.builds(filters.Present, descriptions),
    substrings,
    extensible,
)

all_filters = st.recursive(
    items,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: filters.And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: filters.Or(tuple(parts))),
        st.builds(filters.Not, inner),
    ),
    max_leaves=8,
)

attributes = st.builds(Attribute, descriptions, st.lists(octets, min_size=1, max_size=3).map(tuple))

searches = st.builds(
    SearchRequest,
    text,
    st.sampled_from(Scope),
    st.sampled_from(Deref),
    numbers,
    numbers,
    st.booleans(),
    all_filters,
    st.lists(descriptions, max_size=4).map(tuple),
)

requests = st.one_of(
    st.builds(
        BindRequest,
        st.integers(1, 127),
        text,
        st.builds(Simple, octets) | st.builds(Sasl, text, st.none() | octets),
    ),
    st.just(UnbindRequest()),
    searches,
    st.builds(
        ModifyRequest,
        text,
        st.lists(st.builds(Change, st.sampled_from(ChangeKind), attributes), max_size=3).map(tuple),
    ),
    st.builds(AddRequest, text, st.lists(attributes, max_size=3).map(tuple)),
    st.builds(DeleteRequest, text),
    st.builds(ModifyDnRequest, text, text, st.booleans(), st.none() | text),
    st.builds(CompareRequest, text, descriptions, octets),
    st.builds(AbandonRequest, numbers),
    st.builds(ExtendedRequest, oids, st.none() | octets),
)

results = st.builds(Result, st.sampled_from(ResultCode), text, text, st.lists(text, max_size=2).map(tuple))

responses = st.one_of(
    st.builds(BindResponse, results, st.none() | octets),
    st.builds(
        SearchResultEntry,
        text,
        st.lists(st.builds(Attribute, descriptions, st.lists(octets, max_size=3).map(tuple)), max_size=3).map(
            tuple
        ),
    ),
    st.builds(SearchResultReference, st.lists(text, min_size=1, max_size=3).map(tuple)),
    *(
        st.builds(kind, results)
        for kind in (
            SearchResultDone,
            ModifyResponse,
            AddResponse,
            DeleteResponse,
            ModifyDnResponse,
            CompareResponse,
        )
    ),
    st.builds(ExtendedResponse, results, st.none() | oids, st.none() | octets),
    st.builds(IntermediateResponse, st.none() | oids, st.none() | octets),
)

controls = st.lists(st.builds(Control, oids, st.booleans(), st.none() | octets), max_size=3).map(tuple)
message_ids = st.integers(1, 0x7FFFFFFF)
