//! What is sold beside bare prices, from its text to its terms; and what makes no sense.

use crate::{
    rating::{AfterLimit, Catalog, Period, Unpaid},
    units::Money,
};

/// Lines matter to the tests of problems: what they add begins at line 32.
const BASE: &str = r#"currency = "EUR"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.10"
per = "1 MB"
[[service]]
name = "music"
context = "data"
rating_group = 2
free = true
slice = "1 MB"
[[allowance]]
name = "gigabyte"
amount = "1 GB"
[[allowance]]
name = "weekly"
amount = "1 GB"
validity = "7 d"
[[limit]]
name = "cap"
period = "day"
amount = "20.00"
then = "refuse"
[[discount]]
name = "half"
percent = "50"
"#;

fn catalog(more: &str) -> Catalog {
    Catalog::from_toml(&format!("{BASE}{more}")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The problems that come with one more section, as `line:column message`.
fn problems(more: &str) -> Vec<String> {
    let problems = Catalog::from_toml(&format!("{BASE}{more}")).unwrap_err();
    problems.iter().map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.message)).collect()
}

/// Each of `wrong` is one more section (its first line is line 32), and has exactly the one problem.
#[track_caller]
fn each_is_told(cases: &[(&str, &str)]) {
    for (wrong, expected) in cases {
        let found = problems(wrong);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{wrong}\n{expected}\n{found:#?}");
    }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn names(names: &[std::sync::Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

#[test]
fn limits_are_read() {
    let catalog = catalog(
        "[[limit]]\nname = \"member\"\nperiod = \"cycle\"\namount = \"10\"\nby = \"member\"\nthen = \"notify\"\n\
         services = [\"internet\"]\nremind_percent = [80, 50]\n\
         [[limit]]\nname = \"velocity\"\nperiod = \"10 min\"\namount = \"5\"\nthen = \"stop\"\n\
         [[limit]]\nname = \"free\"\nperiod = \"week\"\namount = \"5\"\nthen = \"free\"\n\
         [[limit]]\nname = \"less\"\nperiod = \"week\"\namount = \"5\"\nthen = \"reduced\"\nreduced_percent = \"33.3\"\n",
    );
    let cap = catalog.limit("cap").unwrap();
    assert_eq!(
        (cap.period, cap.amount, cap.by_member, cap.then),
        (Period::Day, money("20"), false, AfterLimit::Refuse)
    );
    assert_eq!(cap.reminders, [0; 0]);
    let service = |name| catalog.service_by_name(name).unwrap();
    assert!(cap.scope.includes(service("internet")) && cap.scope.includes(service("music")), "all that are counted");
    let member = catalog.limit("member").unwrap();
    assert_eq!((member.period, member.by_member, member.then), (Period::Cycle, true, AfterLimit::Notify));
    assert_eq!(member.reminders, [50, 80]);
    assert!(member.scope.includes(service("internet")) && !member.scope.includes(service("music")));
    let then = |name| (catalog.limit(name).unwrap().period, catalog.limit(name).unwrap().then);
    assert_eq!(then("velocity"), (Period::Seconds(600), AfterLimit::Stop));
    assert_eq!(then("free"), (Period::Week, AfterLimit::Charge(0)));
    assert_eq!(then("less"), (Period::Week, AfterLimit::Charge(3_330)));
    assert_eq!(catalog.limits().len(), 5);
}

#[test]
fn problems_of_limits() {
    let limit = |change: &str| format!("[[limit]]\nname = \"x\"\nperiod = \"day\"\namount = \"1\"\n{change}\n");
    let refuse = |change: &str| limit(&format!("then = \"refuse\"\n{change}"));
    each_is_told(&[
        (&limit(""), "32:1 [[limit]] needs `then`, such as `then = \"refuse\"`"),
        (&limit("then = \"block\""), "36:8 `then = \"block\"`: write \"notify\", \"refuse\", \"stop\", \"free\" or"),
        (&limit("then = \"reduced\""), "36:8 `then = \"reduced\"` needs a part: say what is still charged, such as"),
        (
            &refuse("reduced_percent = \"5\""),
            "37:1 `reduced_percent` has no meaning here: it says what is still charged",
        ),
        (
            &limit("then = \"reduced\"\nreduced_percent = \"100\""),
            "37:19 `reduced_percent = \"100\"`: write a percentage from 0.01 to 99.99, with at most two digits after",
        ),
        (
            &limit("then = \"reduced\"\nreduced_percent = 50"),
            "37:19 `reduced_percent = 50`: write it in quotes: \"50\"",
        ),
        (&refuse("by = \"user\""), "37:6 `by = \"user\"`: write \"account\" (all its members together) or \"member\""),
        (&refuse("remind_percent = [80, 100]"), "37:23 in `remind_percent`, 100: write a whole number from 1 to 99"),
        (&refuse("remind_percent = [80, 80]"), "37:1 `remind_percent` has a percentage twice"),
        (&refuse("services = [\"intrnet\"]"), "37:13 there is no service `intrnet`; did you mean `internet`?"),
        (&refuse("services = [\"internet\", \"internet\"]"), "37:25 service `internet` is named twice"),
        (&refuse("services = \"music\""), "37:12 service `music` is free: it never counts here"),
        (&refuse("").replace("\"1\"", "\"0\""), "35:10 `amount = \"0\"`: write an amount above zero"),
        (&refuse("").replace("\"1\"", "\"-1\""), "35:10 `amount = \"-1\"`: write an amount above zero"),
        (
            &refuse("").replace("\"1\"", "\"1000000000.01\""),
            "35:10 `amount = \"1000000000.01\"`: an amount is at most 10",
        ),
        (
            &refuse("").replace("\"day\"", "\"month\""),
            "34:10 `period = \"month\"`: write \"day\", \"week\", \"cycle\" or a",
        ),
        (&refuse("").replace("\"day\"", "\"59 s\""), "34:10 `period = \"59 s\"`: write \"day\""),
        (&refuse("").replace("\"day\"", "\"367 d\""), "34:10 `period = \"367 d\"`: write \"day\""),
        (&refuse("").replace("\"x\"", "\"cap\""), "33:8 line 25 has a limit `cap` already"),
        (&refuse("reminder = 1"), "37:1 unknown key `reminder` in [[limit]]"),
    ]);
    let many: String = (0..100).map(|n| refuse("").replace("\"x\"", &format!("\"x{n}\""))).collect();
    assert!(problems(&many)[0].contains("a catalog has at most 100 of these"));
    let services = ["\"internet\""; 101].join(", ");
    assert!(problems(&refuse(&format!("services = [{services}]")))[0].contains("`services` names at most 100"));
}

/// A service of a credit pool has one price: nothing may change it.
#[test]
fn pools_have_one_price() {
    let pooled = "[[service]]\nname = \"pooled\"\ncontext = \"data\"\nrating_group = 3\nprice = \"1\"\nper = \"1 MB\"\n\
                  slice = \"1 MB\"\npool = 1\n";
    let alone = BASE.replace("name = \"half\"\n", "name = \"half\"\nservices = \"internet\"\n");
    let found = |more: &str| match Catalog::from_toml(&format!("{alone}{pooled}{more}")) {
        Ok(_) => String::new(),
        Err(problems) => problems[0].to_string(),
    };
    assert_eq!(found(""), "");
    let discount = "[[discount]]\nname = \"all\"\npercent = \"1\"\n";
    assert!(
        found(discount)
            .contains("service `pooled` draws from a credit pool, which counts by one price: it can have no")
    );
    assert!(found(discount).contains("name the others in `services`"));
    assert!(found(&format!("{discount}services = \"pooled\"\n")).contains("it can have no discount"));
    assert_eq!(found(&format!("{discount}services = \"internet\"\n")), "");
    let limit = "[[limit]]\nname = \"free\"\nperiod = \"day\"\namount = \"1\"\n";
    assert!(found(&format!("{limit}then = \"free\"\n")).contains("it can have no other price after a limit"));
    assert_eq!(found(&format!("{limit}then = \"refuse\"\nservices = \"pooled\"\n")), "");
}

#[test]
fn discounts_are_read() {
    let text = "[[discount]]\nname = \"night\"\npercent = \"12.5\"\nservices = \"internet\"\nfrom = \"22:00\"\nto = \"06:00\"\n";
    let catalog = catalog(text);
    let night = catalog.discount("night").unwrap();
    assert_eq!((night.basis_points, names(&night.scope.services)), (1_250, vec!["internet"]));
    let half = catalog.discount("half").unwrap();
    assert_eq!((half.basis_points, half.hours), (5_000, None));
    let at = |hour: u64| crate::time::Timestamp::from_secs(hour * 3_600);
    assert!(catalog.is_given(half, at(12)) && catalog.is_given(night, at(23)) && !catalog.is_given(night, at(12)));
}

#[test]
fn problems_of_discounts() {
    let discount = |percent: &str, more: &str| format!("[[discount]]\nname = \"x\"\npercent = {percent}\n{more}\n");
    let percent = "write a percentage from 0.01 to 100, with at most two digits after the point, such as \"20\"";
    for wrong in
        ["\"0\"", "\"0.00\"", "\"100.01\"", "\"1.234\"", "\"-5\"", "\"20 %\"", "\".5\"", "\"5.\"", "\"1e1\"", "\"+5\""]
    {
        let expected = format!("34:11 `percent = {wrong}`: {percent}");
        each_is_told(&[(&discount(wrong, ""), &expected)]);
    }
    each_is_told(&[
        ("[[discount]]\nname = \"x\"\n", "32:1 [[discount]] needs `percent`, such as `percent = \"20\"`"),
        (&discount("\"20\"", "services = \"music\""), "35:12 service `music` is free: it never counts here"),
        (&discount("\"20\"", "from = \"8\""), "35:8 `from = \"8\"`: write a time of day"),
        (&discount("\"20\"", "days = \"holiday\""), "35:8 in `days`, \"holiday\": say which days are holidays"),
        (&discount("\"20\"", "").replace("\"x\"", "\"half\""), "33:8 line 30 has a discount `half` already"),
    ]);
}

#[test]
fn products_are_read() {
    let catalog = catalog(
        "[[product]]\nname = \"family\"\nsetup_fee = \"9.99\"\nfee = \"30\"\nperiod = \"cycle\"\nprorate = true\n\
         allowances = [\"weekly\", { allowance = \"gigabyte\", roll_over = \"500 MB\", roll_over_periods = 2 }]\n\
         discounts = [\"half\"]\nlimits = [\"cap\"]\nfloor = \"5\"\ntrial = \"30 d\"\nlasts = \"366 d\"\n\
         unpaid = \"cancel\"\nmost = 3\n\
         [[product]]\nname = \"once\"\nallowances = \"weekly\"\n\
         [[product]]\nname = \"rolls\"\nperiod = \"week\"\n\
         allowances = { allowance = \"gigabyte\", roll_over = \"1 GB\" }\nunpaid = \"charge\"\nfee = \"1\"\n",
    );
    let family = catalog.product("family").unwrap();
    assert_eq!((family.setup_fee, family.fee, family.floor), (money("9.99"), money("30"), money("5")));
    assert_eq!(
        (family.period, family.prorate, family.unpaid, family.most),
        (Some(Period::Cycle), true, Unpaid::Cancel, 3)
    );
    assert_eq!((family.trial_secs, family.lasts_secs), (30 * 86_400, Some(366 * 86_400)));
    assert_eq!((names(&family.discounts), names(&family.limits)), (vec!["half"], vec!["cap"]));
    let [weekly, gigabyte] = &family.allowances[..] else { panic!("{:?}", family.allowances) };
    assert_eq!((&*weekly.allowance.name, weekly.roll_over), ("weekly", None));
    let roll_over = gigabyte.roll_over.unwrap();
    assert_eq!((&*gigabyte.allowance.name, roll_over.most, roll_over.periods), ("gigabyte", 500_000_000, 2));
    assert_eq!(Some(&*gigabyte.allowance), catalog.allowance("gigabyte"));
    let once = catalog.product("once").unwrap();
    assert_eq!((once.setup_fee, once.fee, once.floor), (Money::default(), Money::default(), Money::default()));
    assert_eq!((once.period, once.prorate, once.unpaid, once.most), (None, false, Unpaid::Pause, 1));
    assert_eq!((once.trial_secs, once.lasts_secs), (0, None));
    let rolls = catalog.product("rolls").unwrap();
    assert_eq!(rolls.allowances[0].roll_over.map(|it| (it.most, it.periods)), Some((1_000_000_000, 1)));
    assert_eq!(rolls.unpaid, Unpaid::Charge);
}

#[test]
fn problems_of_products() {
    let product = |more: &str| format!("[[product]]\nname = \"x\"\n{more}\n");
    let rolls = |more: &str| product(&format!("period = \"cycle\"\nallowances = [{{ {more} }}]"));
    each_is_told(&[
        (&product(""), "32:1 this product gives nothing and costs nothing: give it `allowances`, `discounts` or"),
        (&product("fee = \"-1\""), "34:7 `fee = \"-1\"`: an amount is not below zero"),
        (&product("fee = 5"), "34:7 `fee = 5`: write it in quotes: \"5\""),
        (&product("fee = \"1\"\nfloor = \"5\""), "35:1 a `floor` is the least that is spent in a period: add `period`"),
        (&product("fee = \"1\"\nprorate = true"), "35:1 `prorate` is for a first and last period that are not whole"),
        (&product("fee = \"1\"\nperiod = \"day\"\nprorate = true"), "36:1 parts of a period are counted in days"),
        (&product("fee = \"1\"\nperiod = \"36 h\"\nprorate = true"), "36:1 parts of a period are counted in days"),
        (&product("limits = \"cap\"\nperiod = \"week\"\nprorate = true"), "36:1 there is nothing to prorate: "),
        (&product("floor = \"1.00\"\nperiod = \"week\""), "34:1 a `floor` is settled with the billing cycle: "),
        (
            &product("limits = \"cap\"\nperiod = \"week\"\ntrial = \"7 d\""),
            "36:1 a `trial` waives the fees of its time: add",
        ),
        (
            &product("fee = \"0.00\"\nperiod = \"week\"\ntrial = \"7 d\""),
            "36:1 a `trial` waives the fees of its time: add",
        ),
        (
            &product("fee = \"1\"\ntrial = \"7 d\""),
            "35:1 a `trial` would waive a fee that is paid once altogether: add a",
        ),
        (
            &product("fee = \"1\"\nperiod = \"week\"\ntrial = \"7 d\"\nlasts = \"7 d\""),
            "36:1 the `trial` ends after the product does: nothing is ever charged",
        ),
        (
            &product("limits = \"cap\"\nunpaid = \"pause\""),
            "35:1 `unpaid` is about fees, and this product has none: add",
        ),
        (
            &product("fee = \"1\"\nunpaid = \"wait\""),
            "35:10 `unpaid = \"wait\"`: write \"charge\", \"pause\" or \"cancel\"",
        ),
        (&product("fee = \"1\"\nmost = 0"), "35:8 `most = 0`: write a whole number from 1 to 100"),
        // What it refers to.
        (&product("limits = \"cup\""), "34:10 there is no limit `cup`; did you mean `cap`?"),
        (&product("limits = [\"cap\", \"cap\"]"), "34:18 `cap` is named twice in `limits`"),
        (&product("discounts = \"third\""), "34:13 there is no discount `third`; known: `half`"),
        (&product("allowances = \"terabyte\""), "34:14 there is no allowance `terabyte`; did you mean `gigabyte`?"),
        (&product("allowances = [\"weekly\", \"weekly\"]"), "34:25 allowance `weekly` is named twice"),
        (&product("allowances = [1]"), "34:15 in `allowances`: write it in quotes: \"1\"; or a table such as {"),
        // What rolls over.
        (
            &product("allowances = [{ allowance = \"gigabyte\", roll_over = \"1 GB\" }]"),
            "34:41 nothing rolls over in a product that is bought once: give the product a `period`",
        ),
        (
            &rolls("allowance = \"gigabyte\", roll_over_periods = 1"),
            "35:41 nothing rolls over: say how much does, such as",
        ),
        (
            &rolls("allowance = \"gigabyte\", roll_over = \"1 GB\", roll_over_periods = 25"),
            "35:81 `roll_over_periods = 25`: write a whole number from 1 to 24",
        ),
        (
            &rolls("allowance = \"gigabyte\", roll_over = \"1 min\""),
            "35:53 allowance `gigabyte` has octets, and `roll_over` counts seconds",
        ),
        (
            &rolls("allowance = \"weekly\", roll_over = \"1 GB\""),
            "35:51 allowance `weekly` has a validity of its own, 7 d: only what ends with the period rolls over",
        ),
        (&rolls("roll_over = \"1 GB\""), "35:15 `allowances` needs `allowance`, such as `allowance = \"data-1gb\"`"),
        (
            &rolls("allowance = \"gigabyte\", rollover = \"1 GB\""),
            "35:41 unknown key `rollover` in `allowances`; did you",
        ),
        (&(product("fee = \"1\"") + &product("fee = \"2\"")), "36:8 line 33 has a product `x` already"),
    ]);
    let many = ["\"gigabyte\""; 21].join(", ");
    assert!(problems(&product(&format!("allowances = [{many}]")))[0].contains("a product has at most 20 allowances"));
    let many = ["\"half\""; 11].join(", ");
    assert!(problems(&product(&format!("discounts = [{many}]")))[0].contains("`discounts` names at most 10"));
}

/// What cannot be read is there all the same: who refers to it has done nothing wrong.
#[test]
fn one_mistake_is_told_once() {
    each_is_told(&[(
        "[[allowance]]\nname = \"hour\"\namount = \"1 hr\"\n\
         [[product]]\nname = \"x\"\nperiod = \"day\"\nallowances = [{ allowance = \"hour\", roll_over = \"1 h\" }]\n\
         [[gift]]\nname = \"y\"\ntop_up = \"1\"\nallowance = \"hour\"\n",
        "34:10 `amount = \"1 hr\"`",
    )]);
    let found = problems("[[product]]\nname = \"x\"\nfee = 1\n[[plan]]\nname = \"p\"\nproducts = \"x\"\n");
    assert_eq!(found, ["34:7 `fee = 1`: write it in quotes: \"1\""]);
}

#[test]
fn plans_are_read() {
    let catalog = catalog(
        "[[product]]\nname = \"line\"\nfee = \"1\"\nperiod = \"cycle\"\n\
         [[plan]]\nname = \"prepaid\"\nproducts = [\"line\"]\nlimits = [\"cap\"]\nactivate = \"on-use\"\nvalidity = \"90 d\"\n\
         top_up_validity = [{ from = \"50\", adds = \"180 d\" }, { from = \"10\", adds = \"30 d\" }]\n\
         grace = \"30 d\"\nremind_before = \"7 d\"\nlate_usage = \"6 h\"\n\
         [[plan]]\nname = \"bare\"\n",
    );
    let plan = catalog.plan("prepaid").unwrap();
    assert_eq!((names(&plan.products), names(&plan.limits)), (vec!["line"], vec!["cap"]));
    assert!(plan.activate_on_use);
    assert_eq!((plan.validity_secs, plan.grace_secs), (Some(90 * 86_400), 30 * 86_400));
    assert_eq!(plan.top_up_validity, [(money("10"), 30 * 86_400), (money("50"), 180 * 86_400)]);
    assert_eq!((plan.remind_before_secs, plan.late_usage_secs), (7 * 86_400, 6 * 3_600));
    let bare = catalog.plan("bare").unwrap();
    assert_eq!((bare.validity_secs, bare.activate_on_use, bare.grace_secs, bare.late_usage_secs), (None, false, 0, 0));
}

#[test]
fn problems_of_plans() {
    let plan = |more: &str| format!("[[plan]]\nname = \"x\"\n{more}\n");
    each_is_told(&[
        (&plan("limits = \"cup\""), "34:10 there is no limit `cup`; did you mean `cap`?"),
        (
            &plan("products = \"cap\""),
            "34:12 there is no product `cap`; there are none: add a [[product]] with this name",
        ),
        (&plan("activate = \"now\""), "34:12 `activate = \"now\"`: write \"at-once\" or \"on-use\""),
        (
            &plan("grace = \"1 d\""),
            "34:1 accounts of this plan live for ever, so `grace` has no meaning: add `validity`",
        ),
        (&plan("remind_before = \"1 d\""), "34:1 accounts of this plan live for ever, so `remind_before` has no"),
        (
            &plan("top_up_validity = [{ from = \"1\", adds = \"1 d\" }]"),
            "34:1 accounts of this plan live for ever, so `top_up_validity` has no meaning",
        ),
        (
            &plan("validity = \"7 d\"\nremind_before = \"7 d\""),
            "35:1 7 d before the end of 7 d the life has not begun: write less than `validity`",
        ),
        (
            &plan("validity = \"7 d\"\ntop_up_validity = [\"30 d\"]"),
            "35:20 in `top_up_validity`, \"30 d\": write `{ from = \"10.00\", adds = \"30 d\" }`",
        ),
        (
            &plan("validity = \"7 d\"\ntop_up_validity = [{ from = \"1\" }]"),
            "35:20 top_up_validity needs `adds`, such as `adds = \"30 d\"`",
        ),
        (
            &plan(
                "validity = \"7 d\"\ntop_up_validity = [\n{ from = \"1\", adds = \"1 d\" },\n{ from = \"1.0\", adds = \"2 d\" }]",
            ),
            "37:10 line 36 says what top-ups from 1.00 add already",
        ),
        (
            &plan(
                "validity = \"7 d\"\ntop_up_validity = [\n{ from = \"1\", adds = \"2 d\" },\n{ from = \"9\", adds = \"1 d\" }]",
            ),
            "37:10 top-ups from 9.00 add less than those from 1.00: write more, or leave it out",
        ),
        (&plan("late_usage = \"8 d\""), "34:14 `late_usage = \"8 d\"`: write a time from \"0 s\" to \"7 d\""),
        (
            &plan("late_usage = \"25 h\""),
            "34:14 no client is believed about what happened more than 1 d ago: write at most that, or raise `event_time_past`",
        ),
        (&plan("").repeat(2), "36:8 line 33 has a plan `x` already"),
    ]);
    let believed = format!("event_time_past = \"2 d\"\n{BASE}{}", plan("late_usage = \"25 h\""));
    assert!(Catalog::from_toml(&believed).is_ok());
}

#[test]
fn gifts_are_read() {
    let catalog = catalog(
        "[[gift]]\nname = \"large\"\ntop_up = \"50\"\npercent = \"10.25\"\nvalidity = \"30 d\"\nallowance = \"weekly\"\n\
         [[gift]]\nname = \"small\"\ntop_up = \"20\"\nallowance = \"gigabyte\"\n",
    );
    let gift = |amount: &str| catalog.gift_for(money(amount)).map(|gift| &*gift.name);
    assert_eq!(
        [gift("19.99"), gift("20"), gift("49.99"), gift("50"), gift("1000")],
        [None, Some("small"), Some("small"), Some("large"), Some("large")]
    );
    let [large, small] = catalog.gifts() else { panic!() };
    assert_eq!((large.basis_points, large.validity_secs), (1_025, Some(30 * 86_400)));
    assert_eq!(large.allowance.as_deref(), catalog.allowance("weekly"));
    assert_eq!((small.basis_points, small.validity_secs), (0, None));
}

#[test]
fn problems_of_gifts() {
    let gift = |more: &str| format!("[[gift]]\nname = \"x\"\ntop_up = \"10\"\n{more}\n");
    let other = gift("percent = \"5\"").replace("\"x\"", "\"y\"");
    each_is_told(&[
        (
            &gift(""),
            "32:1 this gift is nothing: it needs `percent` (money), such as `percent = \"10\"`, or an `allowance`",
        ),
        (&gift("percent = \"101\""), "35:11 `percent = \"101\"`: write a percentage from 0.01 to 100"),
        (&gift("allowance = \"weekl\""), "35:13 there is no allowance `weekl`; did you mean `weekly`?"),
        (
            &gift("allowance = \"weekly\"\nvalidity = \"1 d\""),
            "36:1 `validity` is of the money, and an allowance has its own",
        ),
        (
            &(gift("percent = \"5\"") + &other),
            "38:10 line 34 has a gift for top-ups of 10.00 already: only one of them",
        ),
        (&gift("percent = \"5\"").replace("\"10\"", "\"0\""), "34:10 `top_up = \"0\"`: write an amount above zero"),
        (
            &(gift("percent = \"5\"") + &gift("percent = \"5\"").replace("10", "20")),
            "37:8 line 33 has a gift `x` already",
        ),
    ]);
}
