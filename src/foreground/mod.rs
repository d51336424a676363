//! What a command in the foreground does until its windows are over: it waits for their end or
//! for a signal, and shows a person and the service manager how much time is left.

mod countdown;
mod service;
mod signals;
mod wait;

pub use countdown::show as show_countdown;
pub use service::follow as follow_for_service;
pub use signals::{Foreground, Signals};
pub use wait::{Ends, Over, Until, one_is_over, until_over, until_swept};
