//! Methods (RFC 9110 §9).

/// Each method at a path that has it, and at one that has not.
pub(crate) const REQUESTS: &[(&str, &[u8], &str)] = &[
    (
        "GET where it is routed",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok kept",
    ),
    (
        "POST where it is routed",
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok kept",
    ),
    (
        "PUT where it is routed",
        b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok kept",
    ),
    (
        "DELETE where it is routed",
        b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200=ok kept",
    ),
    (
        "HEAD has no body",
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "200head kept",
    ),
    (
        "HEAD of what is not there has no body",
        b"HEAD /none HTTP/1.1\r\nHost: a\r\n\r\n",
        "404head kept",
    ),
    (
        "HEAD where only POST is",
        b"HEAD /ignore HTTP/1.1\r\nHost: a\r\n\r\n",
        "405head kept",
    ),
    (
        "HEAD by HTTP/1.0",
        b"HEAD / HTTP/1.0\r\n\r\n",
        "200head closed",
    ),
    (
        "HEAD without Host is refused without a body",
        b"HEAD / HTTP/1.1\r\n\r\n",
        "400head closed",
    ),
    (
        "HEAD with a field that is none is refused without a body",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        "400head closed",
    ),
    (
        "HEAD behind an empty line, without Host is refused without a body",
        b"\r\nHEAD / HTTP/1.1\r\n\r\n",
        "400head closed",
    ),
    (
        "HEAD of an asterisk is refused without a body",
        b"HEAD * HTTP/1.1\r\nHost: a\r\n\r\n",
        "400head closed",
    ),
    (
        "HEAD by an unknown version is refused without a body",
        b"HEAD / HTTP/2.0\r\nHost: a\r\n\r\n",
        "505head closed",
    ),
    (
        "HEAD with an unknown coding is refused without a body",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "501head closed",
    ),
    (
        "HEAD that expects what nobody does is refused without a body",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n",
        "417head closed",
    ),
    (
        "HEAD with a body that is too large is refused without a body",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
        "413head closed",
    ),
    (
        "HEAD that is refused behind a GET",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\n\r\n",
        "200=ok 400head closed",
    ),
    (
        "POST where it is not",
        b"POST /only-get HTTP/1.1\r\nHost: a\r\n\r\n",
        "405 kept",
    ),
    (
        "PUT where it is not",
        b"PUT /only-get HTTP/1.1\r\nHost: a\r\n\r\n",
        "405 kept",
    ),
    (
        "DELETE where it is not",
        b"DELETE /only-get HTTP/1.1\r\nHost: a\r\n\r\n",
        "405 kept",
    ),
    (
        "PATCH where it is not",
        b"PATCH /only-get HTTP/1.1\r\nHost: a\r\n\r\n",
        "405 kept",
    ),
    (
        "GET where only POST is",
        b"GET /ignore HTTP/1.1\r\nHost: a\r\n\r\n",
        "405 kept",
    ),
    (
        "OPTIONS of a path",
        b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
        "204 kept",
    ),
    (
        "OPTIONS of what is not there",
        b"OPTIONS /none HTTP/1.1\r\nHost: a\r\n\r\n",
        "404 kept",
    ),
    (
        "OPTIONS of the server",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "204 kept",
    ),
    (
        "OPTIONS of the server by HTTP/1.0",
        b"OPTIONS * HTTP/1.0\r\n\r\n",
        "204 closed",
    ),
    (
        "OPTIONS of the server in absolute form",
        b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
        "204 kept",
    ),
    (
        "OPTIONS of the root in absolute form",
        b"OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "204 kept",
    ),
    (
        "OPTIONS of the server with a body",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "204 kept",
    ),
    (
        "TRACE is not answered with what it is",
        b"TRACE / HTTP/1.1\r\nHost: a\r\nX-Secret: <script>\r\n\r\n",
        "405 kept",
    ),
    (
        "TRACE of what is not there",
        b"TRACE /none HTTP/1.1\r\nHost: a\r\n\r\n",
        "404 kept",
    ),
    (
        "CONNECT",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "501 closed",
    ),
    (
        "CONNECT to an address",
        b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
        "501 closed",
    ),
    (
        "CONNECT and what was meant for the tunnel",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 closed",
    ),
    (
        "CONNECT that asks to be kept",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nConnection: keep-alive\r\n\r\n",
        "501 closed",
    ),
    (
        "CONNECT by HTTP/1.0",
        b"CONNECT a:443 HTTP/1.0\r\n\r\n",
        "501 closed",
    ),
    (
        "CONNECT with a body",
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\nhello",
        "501 closed",
    ),
    (
        "get is no method here",
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "Get is no method here",
        b"Get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "gET is no method here",
        b"gET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "FOO is no method here",
        b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "BREW is no method here",
        b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "PROPFIND is no method here",
        b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "M is no method here",
        b"M / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "! is no method here",
        b"! / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "PRI is no method here",
        b"PRI / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "GETX is no method here",
        b"GETX / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "XGET is no method here",
        b"XGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "GET|POST is no method here",
        b"GET|POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "A-METHOD.THAT_IS~FINE^ is no method here",
        b"A-METHOD.THAT_IS~FINE^ / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "0 is no method here",
        b"0 / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "M!#$%&'*+-.^_`|~ is no method here",
        b"M!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "a method that nobody has, where nothing is",
        b"FOO /none HTTP/1.1\r\nHost: a\r\n\r\n",
        "501 kept",
    ),
    (
        "a method that nobody has, with a body",
        b"FOO / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "501 kept",
    ),
];
