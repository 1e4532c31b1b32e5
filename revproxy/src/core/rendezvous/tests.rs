mod abuse;
mod people;
mod topics;
mod world;
