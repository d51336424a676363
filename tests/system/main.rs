//! pgcordon as its users and their clients meet it: the program itself on hosts of a
//! laboratory, with real networks and a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are tests, too.
#![allow(clippy::print_stdout)] // What a test has seen, for --nocapture.

mod lab;

mod audit;
mod bad_input;
mod bounded;
mod concurrency {
    mod many_at_once;
    mod one_order;
}
mod cordon {
    mod blocking;
    mod damaged;
    mod pass_list;
    mod saved_ruleset;
    mod side_entrances;
}
mod documents;
mod drain {
    mod by_choice;
    mod drivers;
    mod farewell;
    mod listeners;
    mod load;
    mod slow_link;
    mod standbys;
    mod startup;
    mod states;
    mod staying;
    mod stragglers;
    mod stuck;
    mod who;
    mod without_sql;
}
mod faults;
mod guard {
    mod heal;
    mod held;
    mod life;
    mod reload;
}
mod hold {
    mod service;
    mod terminal;
}
mod hostile;
mod interrupt;
mod lab_itself;
mod majors;
mod output;
mod plan;
mod policies;
mod privileges;
mod ramp {
    mod crowd;
    mod limits;
}
mod run {
    mod command;
    mod expiry;
    mod terminal;
}
mod scripts;
mod window;
