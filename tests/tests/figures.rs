//! Figures to reach, counted in virtual time.

use scenarios::catalogue::scenario;

#[test]
fn tmp_show() {
    for name in ["healthy", "crash-loop-in-open", "main-throws"] {
        let run = scenario(name).unwrap().run().unwrap();
        println!("{}", run.story());
        for deployed in &run.deployments {
            println!("transitions {} calls {} bytes {}", deployed.result.transitions, deployed.all_calls, deployed.result.largest_state_bytes);
            for c in scenarios::scenario::calls_of(&run.record, &deployed.trace.principal) { println!("   {} {} {} {:?}", c.service, c.operation, c.status, c.error); }
        }
    }
}
