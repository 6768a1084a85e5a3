//! The isolation argument, held against what the Microkit is told: `system.xml` and what is made for
//! every board and number of VMs give what the README's tables say for each VM and nothing else,
//! their numbers are those of the code, and whoever a guest must not hold up runs above its vCPU.

mod access;
mod boards;
mod channels;
mod cpu_time;
mod descriptions;
mod monitor;
mod regions;
