mod abuse;
mod addresses;
mod people;
mod strangers;
mod topics;
mod world;
