//! A path, and what answers each of its methods.

use crate::endpoint::Endpoint;
use crate::route_options::RouteOptions;
use http::Method;
use std::rc::Rc;

pub(super) struct Route {
    pub(super) path: String,
    pub(super) methods: Vec<MethodRoute>,
    pub(super) param_names: Rc<[String]>,
}

pub(super) struct MethodRoute {
    pub(super) method: Method,
    pub(super) handler: Rc<dyn Endpoint>,
    pub(super) label: Rc<str>,
    pub(super) options: Option<Rc<RouteOptions>>,
    /// Its place among all routes, from [`FIRST_ROUTE`](crate::route_label::FIRST_ROUTE).
    pub(super) number: u32,
}

impl Route {
    #[inline]
    pub(super) fn of_method(&self, method: &Method) -> Option<&MethodRoute> {
        let of = |wanted: &Method| self.methods.iter().find(|known| known.method == *wanted);
        of(method).or_else(|| (method == Method::HEAD).then(|| of(&Method::GET)).flatten())
    }
}

/// The value of `Allow` for these, each once, and what is answered without a handler.
pub(super) fn allow<'a>(methods: impl IntoIterator<Item = &'a MethodRoute>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for known in methods {
        if !names.contains(&known.method.as_str()) {
            names.push(known.method.as_str());
        }
    }
    if names.contains(&"GET") && !names.contains(&"HEAD") {
        names.push("HEAD");
    }
    if !names.contains(&"OPTIONS") {
        names.push("OPTIONS");
    }
    names.join(", ")
}

/// The names of the parameters, in the order of the path. Two braces are one written out.
pub(super) fn param_names(path: &str) -> Rc<[String]> {
    let plain = path.replace("{{", "").replace("}}", "");
    plain
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(|name| name.trim_start_matches('*').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_named_in_the_order_of_the_path() {
        let names = |path| param_names(path).to_vec();
        assert_eq!(names("/a/{id}/b/{*rest}"), ["id", "rest"]);
        assert_eq!(names("/{{no}}/{yes}"), ["yes"]);
        assert!(names("/plain").is_empty());
    }
}
