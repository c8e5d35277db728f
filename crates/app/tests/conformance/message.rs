//! Where one request ends and the next begins (RFC 9112 §9.3), and what is asked for before a body
//! (RFC 9110 §10.1.1).

/// Requests one behind the other.
pub(crate) const REQUESTS: &[(&str, &[u8], &str)] = &[
    (
        "two",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok 200=ok kept",
    ),
    (
        "each answered as what it is",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloHEAD / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbye\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok 200=hello 200head 200=bye 200=ok kept",
    ),
    (
        "each answered as what it is to the close",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloHEAD / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbye\r\n0\r\n\r\nPUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok 200=hello 200head 200=bye 200=ok closed",
    ),
    (
        "a HEAD before a GET",
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200head 200=ok kept",
    ),
    (
        "a GET before a HEAD",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok 200head kept",
    ),
    (
        "one that expects before one that does not",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200= 200=ok kept",
    ),
    (
        "answers before a fault",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhellononsense\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok 200=hello 400 closed",
    ),
    (
        "answers before an unknown version",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "200=ok 505 closed",
    ),
    (
        "answers before a body that is too large",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
        "200=ok 413 closed",
    ),
    (
        "answers before an unknown coding",
        b"GET /none HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "404 501 closed",
    ),
    (
        "answers before a fault of a body",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "200=ok 400 closed",
    ),
    (
        "an answer before a head that is not whole",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT",
        "200=ok waits",
    ),
    (
        "an empty line behind a body",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=hello 200=ok kept",
    ),
    (
        "an empty line behind each request",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n",
        "200=ok 200=ok kept",
    ),
    (
        "more body than its length",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello world",
        "200=hello 400 closed",
    ),
    (
        "more body than its length, a token",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloworld",
        "200=hello waits",
    ),
    (
        "more body than its length, and a line end",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello world\r\n\r\n",
        "200=hello 400 closed",
    ),
    (
        "a body without a length",
        b"POST /echo HTTP/1.1\r\nHost: a\r\n\r\nhello\r\n\r\n",
        "200= 400 closed",
    ),
    (
        "less body than its length",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nhello",
        "waits",
    ),
    (
        "a body that looks like a request",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
        "200=GET_/_HTTP/1.1\\r\\nHost:_b\\r\\n\\r\\n kept",
    ),
    (
        "a body that nobody reads",
        b"POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n12345GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ignored 200=ok kept",
    ),
    (
        "chunks that nobody reads",
        b"POST /ignore HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ignored 200=ok kept",
    ),
    (
        "a body where nothing is",
        b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "404 200=ok kept",
    ),
    (
        "a body of a method that is not there",
        b"PATCH /only-get HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "405 200=ok kept",
    ),
    (
        "a body of a method that nobody knows",
        b"FOO / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 200=ok kept",
    ),
    (
        "who waits for 100 gets it",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "100 waits",
    ),
    (
        "who waits for 100 in other case",
        b"POST /echo HTTP/1.1\r\nHost: a\r\neXPECT: 100-CONTINUE\r\nContent-Length: 5\r\n\r\n",
        "100 waits",
    ),
    (
        "who waits for 100 before chunks",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        "100 waits",
    ),
    (
        "who waits for 100 and is not heard",
        b"POST /ignore HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "200=ignored closed",
    ),
    (
        "who waits for 100 where nothing is",
        b"POST /none HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "404 closed",
    ),
    (
        "who waits for 100 with too much",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n",
        "413 closed",
    ),
    (
        "who waits for 100 without a body",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "200=ok kept",
    ),
    (
        "who waits for 100 with a body of nothing",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        "200= kept",
    ),
    (
        "who waits for 100 by HTTP/1.0",
        b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        "200=hello closed",
    ),
    (
        "who expects something else",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 5\r\n\r\nhello",
        "417 closed",
    ),
    (
        "who expects something else without a body",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: <script>\r\n\r\n",
        "417 closed",
    ),
    (
        "who expects more than 100",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n",
        "417 closed",
    ),
    (
        "who expects 100 and nothing",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue,\r\n\r\n",
        "200=ok kept",
    ),
    (
        "who expects 100 with a parameter",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue;a\r\n\r\n",
        "417 closed",
    ),
    (
        "who expects 200",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n",
        "417 closed",
    ),
    (
        "who expects nothing",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n",
        "200=ok kept",
    ),
    (
        "who expects something else by HTTP/1.0",
        b"GET / HTTP/1.0\r\nExpect: miracles\r\n\r\n",
        "200=ok closed",
    ),
];
