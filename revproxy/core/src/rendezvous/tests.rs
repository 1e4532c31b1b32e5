mod abuse;
mod addresses;
mod doors;
mod people;
mod strangers;
mod topics;
mod world;
