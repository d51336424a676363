//! Who passes: the pass list, the farewell and spared connections.

use super::*;

#[test]
fn networks_are_added_and_taken_out() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    let networks = [network("10.0.0.0/8")];
    let added = allow(&mut fake, &[5432], &networks, false).unwrap();
    assert_eq!(added[0].window.cordon.pass, passing("10.0.0.0/8"));
    let again = allow(&mut fake, &[5432], &networks, false).unwrap();
    assert_eq!((added[0].changed, again[0].changed), (true, false));
    let removed = allow(&mut fake, &[5432], &networks, true).unwrap();
    assert!(removed[0].changed);
    assert!(fake.window(5432).unwrap().cordon.pass.is_empty());
}

#[test]
fn a_list_that_is_not_as_written_is_an_error() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    fake.on(Before(Change), 1, lost);
    let error = allow(&mut fake, &[5432], &[network("10.0.0.0/8")], false).unwrap_err();
    assert!(matches!(
        error,
        WindowError::Firewall(FirewallError::Differs { .. })
    ));
}

#[test]
fn a_farewell_is_renewed_and_ended() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    let farewell = |fake: &Fake| fake.window(5432).unwrap().cordon.farewell;
    renew_farewell(&mut fake, 5432, DAY).unwrap();
    assert_eq!(farewell(&fake), 10 * MINUTE, "not beyond the window");
    let client = SocketAddr::from(([203, 0, 113, 7], 40_000));
    end_farewell(&mut fake, 5432, vec![client]).unwrap();
    assert_eq!(farewell(&fake), Duration::ZERO);
    assert_eq!(fake.window(5432).unwrap().cordon.closing[0].client, client);
    spare(&mut fake, 5432, vec![client]).unwrap();
    assert_eq!(fake.window(5432).unwrap().cordon.spared, [client]);
}
