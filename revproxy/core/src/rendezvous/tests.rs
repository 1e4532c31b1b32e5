mod abuse;
mod addresses;
mod people;
mod topics;
mod world;
