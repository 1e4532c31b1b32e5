//! What happened, so that a test can show that something did.

macro_rules! evidence {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What happened, counted.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Evidence {
            $($(#[$doc])* pub $name: usize,)*
        }

        impl std::ops::AddAssign for Evidence {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

evidence! {
    /// Connections that frames were told to make.
    dials,
    /// Connections that frames were told to make to an address.
    dials_at_addresses,
    /// Diallers that were introduced to who listens at an address.
    introduced,
    /// Connections that came up, counted at each end.
    ups,
    /// Connections that went down, counted at each end that knows.
    downs,
    /// Signals that came over a peer that both ends know.
    passed_on,
    /// Certificates that could not be kept.
    certificates_refused,
    /// Pages that died.
    frames_died,
    /// Deaths that a leader was told of twice.
    deaths_told_twice,
    /// Pages that died while they held a link that something had been said on.
    frames_died_linked,
    /// Open streams of other pages that went over such a link.
    frames_died_under_streams,
    /// Pages that froze.
    freezes,
    /// Leaders that died.
    leaders_died,
    /// Leaders that died while a connection was being made.
    leaders_died_dialling,
    /// Leaders that restarted in silence, their ports alive.
    leaders_restarted,
    /// Times that a person deleted the browsing data.
    data_deleted,
    /// Frames whose locks a leader didn't see held.
    frames_unseen,
    /// Leaders whose life locks a frame didn't see held.
    leaders_unseen,
    /// Connections that broke.
    links_broken,
    /// Connections that delivered nothing any longer and didn't say so.
    links_hung,
    /// Times that a node took to its standby.
    switches,
    /// Pairs of browsers that could not reach each other.
    partitions,
    /// Times that the rendezvous stopped.
    server_stops,
    /// Times that the rendezvous fell silent behind its open sockets.
    server_silences,
    /// Sockets that lost everything from some moment on, and stayed open.
    sockets_cut,
    /// Sockets that a leader gave up because the server didn't answer.
    silences_noticed,
    /// Machines that were suspended.
    suspends,
    /// Pages that stopped serving and stayed.
    stopped_serving,
    /// Streams that were opened and accepted.
    streams,
    /// Streams of which both ends have all.
    streams_done,
    /// Streams that went on after the links under them broke.
    streams_resumed,
    /// Openings that failed.
    opens_failed,
    /// Accepted streams that an end was told have failed because the other page is gone.
    failed_gone,
    /// Accepted streams that failed because a page gave them up.
    failed_reset,
    /// Accepted streams that failed because there was no way for long.
    failed_silent,
    /// Bytes that readers got.
    bytes,
    /// Sessions whose opening came to a frame.
    sessions,
    /// Calls that returned what the handler said.
    calls_done,
    /// Calls that failed before the handler ran.
    calls_not_run,
    /// Calls that failed otherwise.
    calls_failed,
    /// Calls that their page gave up.
    calls_cancelled,
    /// Topic messages that pages heard.
    heard,
    /// How often pages were told that somebody shows something else.
    shown,
    /// Statuses told to pages that watch.
    statuses,
    /// Those of them that showed the whole node.
    overviews,
    /// Topics that pages left.
    left,
    /// Requests of other kinds that were answered well.
    answered,
    /// Requests of other kinds that failed.
    refused,
    /// Browsers whose clocks were wrong.
    clocks_wrong,
    /// Messages that hostile members of a topic didn't pass on, counted at each link.
    insiders_kept_back,
    /// Messages that they said again to a newcomer.
    insiders_replayed,
    /// Those of them that were said so long before the newcomer came that it must not hear them.
    insiders_replayed_late,
    /// Messages that they spelled anew.
    insiders_respelled,
    /// Messages that they said as others.
    insiders_forged,
    /// Messages that they said as authors that they made up.
    insiders_invented,
    /// Messages that they said at once, as themselves.
    insiders_flooded,
    /// Messages that hostile nodes sent to the server.
    strangers_messages,
    /// Those that the server refused.
    strangers_refused,
    /// Signals among them.
    strangers_signals,
    /// Dials of hostile nodes.
    strangers_dials,
    /// Dials that listeners were told of and that their diallers never finish.
    doors_occupied,
    /// Links that hostile nodes have had.
    strangers_links,
    /// Messages that they sent on them.
    strangers_said,
}
