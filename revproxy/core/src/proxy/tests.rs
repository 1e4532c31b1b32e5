mod abuse;
mod budgets;
mod dials;
mod legs;
mod relays;
mod world;
