#!/usr/bin/env escript
%% -*- erlang -*-
%% The diameter application of Erlang/OTP plays Gy against a Tollgate server with the demo's price list:
%%
%%     gy_erlang.escript HOST:PORT ADMIN URL SCENARIO
%%
%% ADMIN is the program whose verbs operate the server, URL its API. The scenarios are below: session, events, refund,
%% refusals, protocol_error, reauthorise, abort. The stack encodes all requests by credit_control.dia and decodes all that comes by it; an
%% error that it finds in any message fails. Exit status: 0 all as expected, 1 not (the last line says what), 2 wrong arguments.

-module(gy_erlang).
-mode(compile).
-export([main/1]).
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3]).
-export([handle_answer/4, handle_error/4, handle_request/3]).

-define(SERVICE, gy).
-define(HOST, "gy-erlang.client.example").
-define(REALM, "client.example").
-define(SERVER_REALM, "tollgate.example").
-define(PATIENCE, 10000).
-define(MB, 1000000).
-define(CNY, 156).
-define(DATA, "32251@3gpp.org").
-define(SMS, "32274@3gpp.org").
%% CC-Request-Type, Requested-Action, Result-Code.
-define(INITIAL, 1).
-define(UPDATE, 2).
-define(TERMINATION, 3).
-define(EVENT, 4).
-define(DIRECT_DEBITING, 0).
-define(REFUND_ACCOUNT, 1).
-define(CHECK_BALANCE, 2).
-define(PRICE_ENQUIRY, 3).
-define(SUCCESS, 2001).
-define(LIMITED_SUCCESS, 2002).

main([Address, Admin, Url, Scenario]) ->
    try
        Play = scenario(Scenario),
        Transport = connect(Address),
        Play({Admin, Url}),
        disconnect(Transport),
        say("ok: ~s as expected", [Scenario]),
        halt(0)
    catch
        Class:Reason:Stack ->
            say("FAILED: ~p ~p~n~p", [Class, Reason, Stack]),
            halt(1)
    end;
main(_) ->
    say("usage: gy_erlang.escript HOST:PORT ADMIN URL SCENARIO", []),
    halt(2).

scenario("session") -> fun session/1;
scenario("events") -> fun events/1;
scenario("refund") -> fun refund/1;
scenario("refusals") -> fun refusals/1;
scenario("protocol_error") -> fun protocol_error/1;
scenario("reauthorise") -> fun reauthorise/1;
scenario("abort") -> fun abort/1.

%% Scenarios. Each has a subscriber of its own.

%% Three rating groups: 0.01 for a MB, 0.0005 for 100 kB, and free of charge.
session(_) ->
    Session = new_session(),
    Groups = [1, 2, 3],
    Asked = [service(Group, [#{}], []) || Group <- Groups],
    Initial = ask(Session, 3, ?INITIAL, 0, #{'Multiple-Services-Credit-Control' => Asked}),
    equal([{1, 10 * ?MB}, {2, 50 * ?MB}, {3, 100 * ?MB}], grants(Initial), "grants"),
    %% Total, input and output of a report, and a second report beside it: the total counts, of each.
    Halves = #{'CC-Total-Octets' => [1500000], 'CC-Input-Octets' => [500000], 'CC-Output-Octets' => [1000000]},
    First = ask(Session, 3, ?UPDATE, 1, #{
        'Multiple-Services-Credit-Control' => [service(1, [#{}], [Halves, octets(500000)])]
    }),
    equal([{1, 10 * ?MB}], grants(First), "grants after 2 MB"),
    Second = ask(Session, 3, ?UPDATE, 2, #{
        'Multiple-Services-Credit-Control' => [service(2, [#{}], [octets(250000)]), service(3, [], [octets(?MB)])]
    }),
    %% The free group asked for nothing.
    equal([{2, 50 * ?MB}], grants(Second), "grants after 250 kB of the second"),
    Last = [service(1, [], [octets(500000)]), service(2, [], [octets(50000)])],
    Termination = ask(Session, 3, ?TERMINATION, 3, #{
        'Multiple-Services-Credit-Control' => Last, 'Termination-Cause' => [1]
    }),
    equal([], maps:get('Multiple-Services-Credit-Control', Termination, []), "services of a final answer"),
    %% 2.5 MB are three blocks, 300 kB are three.
    equal(31500, cost(Termination), "cost").

%% Of the actions that need no permission.
events(_) ->
    Debit = event(4, ?DIRECT_DEBITING, 2),
    equal(2, granted_units(Debit), "units debited"),
    equal(200000, cost(Debit), "cost of two messages"),
    Check = event(4, ?CHECK_BALANCE, 1),
    equal([0], maps:get('Check-Balance-Result', Check), "Check-Balance-Result for one message"),
    Poor = event(4, ?CHECK_BALANCE, 1000),
    equal([1], maps:get('Check-Balance-Result', Poor), "Check-Balance-Result for a thousand"),
    Price = event(4, ?PRICE_ENQUIRY, 3),
    equal(300000, cost(Price), "price of three messages"),
    [false = maps:is_key('Granted-Service-Unit', Answer) || Answer <- [Check, Poor, Price]],
    %% In the MSCC: answered there.
    Unit = #{'CC-Service-Specific-Units' => [1]},
    InService = ask(new_session(), 4, ?EVENT, 0, ?SMS, ?SUCCESS, #{
        'Requested-Action' => [?DIRECT_DEBITING],
        'Multiple-Services-Credit-Control' => [#{'Requested-Service-Unit' => [Unit]}]
    }),
    [#{'Result-Code' := [?SUCCESS], 'Granted-Service-Unit' := [Granted]}] =
        maps:get('Multiple-Services-Credit-Control', InService),
    equal(Unit, Granted, "unit granted in the MSCC").

refund(_) ->
    Session = new_session(),
    Unit = #{'Requested-Service-Unit' => [#{'CC-Service-Specific-Units' => [1]}]},
    Event = fun(Action, Number) ->
        ask(Session, 4, ?EVENT, Number, ?SMS, ?SUCCESS, Unit#{'Requested-Action' => [Action]})
    end,
    Debit = Event(?DIRECT_DEBITING, 0),
    equal(100000, cost(Debit), "cost"),
    %% The same Session-Id links it to the debit.
    equal(1, granted_units(Event(?REFUND_ACCOUNT, 1)), "units refunded").

refusals(_) ->
    Unknown = ask(new_session(), 999, ?INITIAL, 0, ?DATA, 5030, #{}),
    false = maps:is_key('Failed-AVP', Unknown),
    ask(new_session(), 3, ?UPDATE, 1, ?DATA, 5002, #{
        'Multiple-Services-Credit-Control' => [service(1, [#{}], [octets(?MB)])]
    }),
    %% A context that is not rated is shown as it came.
    Unrated = ask(new_session(), 3, ?INITIAL, 0, "99999@nowhere.example", 5031, #{
        'Multiple-Services-Credit-Control' => [service(1, [#{}], [])]
    }),
    [#{'AVP' := Failed}] = maps:get('Failed-AVP', Unrated),
    equal([461], [element(2, Avp) || Avp <- flat(Failed)], "AVPs that failed"),
    %% An event without an action: what is missing is shown.
    Missing = ask(new_session(), 4, ?EVENT, 0, ?SMS, 5005, #{}),
    [#{'AVP' := Lacking}] = maps:get('Failed-AVP', Missing),
    equal([436], [element(2, Avp) || Avp <- flat(Lacking)], "AVPs that lack").

%% The command was for another node: a protocol error in the grammar of answers with E.
protocol_error(_) ->
    Request = #{
        'Session-Id' => new_session(),
        'Destination-Host' => ["elsewhere." ?SERVER_REALM],
        'Service-Context-Id' => ?DATA,
        'CC-Request-Type' => ?INITIAL,
        'CC-Request-Number' => 0
    },
    {['answer-message' | Fields], true} = call(Request),
    equal(3002, maps:get('Result-Code', Fields), "Result-Code of what cannot be delivered").

%% All that the subscriber has is granted; with more money the server asks for an update.
reauthorise({Admin, Url}) ->
    Session = new_session(),
    Asked = #{'Multiple-Services-Credit-Control' => [service(1, [#{}], [])]},
    [Poor] = services(ask(Session, 5, ?INITIAL, 0, Asked)),
    [#{'Final-Unit-Action' := 0}] = maps:get('Final-Unit-Indication', Poor),
    operate(Admin, ["topup", msisdn(5), "1.00", "--server", Url, "--json"]),
    {'RAR', Rar} = requested(),
    equal(Session, text(maps:get('Session-Id', Rar)), "Session-Id of the RAR"),
    equal({?HOST, ?REALM}, destination(Rar), "where the RAR goes"),
    #{'Auth-Application-Id' := 4, 'Re-Auth-Request-Type' := 0} = Rar,
    %% FORCED_REAUTHORISATION
    Used = #{'Reporting-Reason' => [7]},
    Updated = ask(Session, 5, ?UPDATE, 1, #{
        'Multiple-Services-Credit-Control' => [maps:merge(service(1, [#{}], [octets(?MB)]), Used)]
    }),
    [Rich] = services(Updated),
    false = maps:is_key('Final-Unit-Indication', Rich),
    equal([{1, 10 * ?MB}], grants(Updated), "grants with money"),
    ask(Session, 5, ?TERMINATION, 2, #{'Multiple-Services-Credit-Control' => [service(1, [], [octets(0)])]}).

%% An operator ends the session.
abort({Admin, Url}) ->
    Session = new_session(),
    ask(Session, 6, ?INITIAL, 0, #{'Multiple-Services-Credit-Control' => [service(1, [#{}], [])]}),
    operate(Admin, ["session", "terminate", Session, "--server", Url, "--json"]),
    {'ASR', Asr} = requested(),
    equal(Session, text(maps:get('Session-Id', Asr)), "Session-Id of the ASR"),
    equal({?HOST, ?REALM}, destination(Asr), "where the ASR goes"),
    #{'Auth-Application-Id' := 4} = Asr,
    %% ADMINISTRATIVE
    Termination = ask(Session, 6, ?TERMINATION, 1, #{
        'Multiple-Services-Credit-Control' => [service(1, [], [octets(?MB)])], 'Termination-Cause' => [4]
    }),
    equal(10000, cost(Termination), "cost"),
    ask(Session, 6, ?UPDATE, 2, ?DATA, 5002, #{}).

%% Requests.

new_session() -> unicode:characters_to_list(diameter:session_id(?HOST)).

msisdn(Subscriber) -> integer_to_list(8613900000000 + Subscriber).

octets(Octets) -> #{'CC-Total-Octets' => [Octets]}.

service(Group, Requested, Used) ->
    #{'Rating-Group' => [Group], 'Requested-Service-Unit' => Requested, 'Used-Service-Unit' => Used}.

event(Subscriber, Action, Units) ->
    ask(new_session(), Subscriber, ?EVENT, 0, ?SMS, ?SUCCESS, #{
        'Requested-Action' => [Action],
        'Requested-Service-Unit' => [#{'CC-Service-Specific-Units' => [Units]}]
    }).

ask(Session, Subscriber, Type, Number, More) ->
    ask(Session, Subscriber, Type, Number, ?DATA, ?SUCCESS, More).

%% Sends a CCR; returns the fields of its CCA, which has this result and no errors.
ask(Session, Subscriber, Type, Number, Context, Result, More) ->
    Request = More#{
        'Session-Id' => Session,
        'Service-Context-Id' => Context,
        'CC-Request-Type' => Type,
        'CC-Request-Number' => Number,
        'Subscription-Id' => [#{'Subscription-Id-Type' => 0, 'Subscription-Id-Data' => msisdn(Subscriber)}],
        'Multiple-Services-Indicator' => [1]
    },
    {['CCA' | Fields], false} = call(Request),
    What = io_lib:format("request ~p of type ~p", [Number, Type]),
    equal(Session, text(maps:get('Session-Id', Fields)), [What, ": Session-Id"]),
    equal(Result, maps:get('Result-Code', Fields), [What, ": Result-Code"]),
    #{'Auth-Application-Id' := 4, 'CC-Request-Type' := Type, 'CC-Request-Number' := Number} = Fields,
    say("~s: ~p", [What, Result]),
    Fields.

%% The answer, and whether it has E.
call(Request) ->
    Whole = Request#{'Destination-Realm' => ?SERVER_REALM, 'Auth-Application-Id' => 4},
    case diameter:call(?SERVICE, credit_control, ['CCR' | Whole], [{timeout, ?PATIENCE}]) of
        {answer, Answer, IsError, []} -> {Answer, IsError};
        {answer, Answer, _, Errors} -> error({decoded_with_errors, Errors, Answer});
        Other -> error({no_answer, Other})
    end.

%% The next request of the server. It is answered already.
requested() ->
    receive
        {requested, [Name | Fields], []} ->
            say("~s", [Name]),
            {Name, Fields};
        {requested, Message, Errors} ->
            error({decoded_with_errors, Errors, Message})
    after ?PATIENCE -> error(no_request_of_the_server)
    end.

operate(Admin, Arguments) ->
    Port = open_port({spawn_executable, Admin}, [{args, Arguments}, exit_status, stderr_to_stdout, binary]),
    operated(Port, <<>>).

operated(Port, Told) ->
    receive
        {Port, {data, More}} -> operated(Port, <<Told/binary, More/binary>>);
        {Port, {exit_status, 0}} -> ok;
        {Port, {exit_status, Status}} -> error({admin, Status, Told})
    after ?PATIENCE -> error({admin, no_end, Told})
    end.

%% What messages say.

services(Answer) -> maps:get('Multiple-Services-Credit-Control', Answer, []).

%% Rating group and granted octets of each service, all of which must have been served.
grants(Answer) ->
    [
        begin
            #{'Rating-Group' := [Group], 'Result-Code' := [?SUCCESS], 'Granted-Service-Unit' := [Unit]} = Service,
            #{'CC-Total-Octets' := [Octets]} = Unit,
            [true = Threshold < Octets || Threshold <- maps:get('Volume-Quota-Threshold', Service, [])],
            {Group, Octets}
        end
     || Service <- services(Answer)
    ].

granted_units(Answer) ->
    [#{'CC-Service-Specific-Units' := [Units]}] = maps:get('Granted-Service-Unit', Answer),
    Units.

%% In millionths.
cost(Answer) ->
    [#{'Unit-Value' := Value, 'Currency-Code' := ?CNY}] = maps:get('Cost-Information', Answer),
    #{'Value-Digits' := Digits, 'Exponent' := [Exponent]} = Value,
    Digits * power(Exponent + 6).

power(0) -> 1;
power(Exponent) when Exponent > 0 -> 10 * power(Exponent - 1).

destination(Request) ->
    {text(maps:get('Destination-Host', Request)), text(maps:get('Destination-Realm', Request))}.

text(Octets) -> unicode:characters_to_list(Octets).

%% AVPs as the stack gives them: {diameter_avp, Code, ...}, grouped or not.
flat(Avps) -> [Avp || Avp <- lists:flatten([Avps]), is_tuple(Avp)].

equal(Same, Same, _) -> ok;
equal(Expected, Got, What) -> error({unicode:characters_to_list(What), {expected, Expected}, {got, Got}}).

say(Format, Arguments) ->
    io:format(standard_error, Format ++ "~n", Arguments).

%% The connection.

connect(Address) ->
    [Host, Port] = string:split(Address, ":", trailing),
    {ok, Ip} = inet:parse_address(Host),
    ok = load_dictionary(),
    ok = diameter:start(),
    true = register(player, self()),
    ok = diameter:start_service(?SERVICE, service_options()),
    true = diameter:subscribe(?SERVICE),
    {ok, Transport} = diameter:add_transport(?SERVICE, {connect, [
        {transport_module, diameter_tcp},
        {transport_config, [{raddr, Ip}, {rport, list_to_integer(Port)}, {reuseaddr, true}]}
    ]}),
    wait(up),
    say("connected", []),
    Transport.

%% DPR, and the server's DPA ends it.
disconnect(Transport) ->
    ok = diameter:remove_transport(?SERVICE, Transport),
    wait(down),
    ok = diameter:stop_service(?SERVICE).

service_options() ->
    [
        {'Origin-Host', ?HOST},
        {'Origin-Realm', ?REALM},
        {'Vendor-Id', 0},
        {'Product-Name', "gy_erlang"},
        {'Auth-Application-Id', [4]},
        {string_decode, false},
        {decode_format, map},
        {application, [
            {alias, credit_control},
            {dictionary, credit_control},
            {module, ?MODULE},
            %% Errors of decoding come to this module.
            {answer_errors, callback},
            {request_errors, callback}
        ]}
    ].

load_dictionary() ->
    File = filename:join(filename:dirname(escript:script_name()), "credit_control.dia"),
    {ok, [Forms]} = diameter_make:codec(File, [forms, return]),
    {ok, Module, Binary} = compile:forms(Forms, []),
    {module, Module} = code:load_binary(Module, "credit_control.dia", Binary),
    ok.

wait(Event) ->
    receive
        {diameter_event, ?SERVICE, Info} when element(1, Info) =:= Event -> ok;
        {diameter_event, ?SERVICE, _} -> wait(Event)
    after ?PATIENCE -> error({no, Event})
    end.

%% What the stack asks of its user.

peer_up(_, _, State) -> State.
peer_down(_, _, State) -> State.
pick_peer([Peer | _], _, _, _) -> {ok, Peer}.

prepare_request(Packet, _, {_, Caps}) ->
    ['CCR' | Fields] = element(4, Packet),
    %% Pairs of this side and the other.
    {Host, ServerHost} = element(2, Caps),
    {Realm, _} = element(3, Caps),
    Named = maps:merge(#{'Destination-Host' => [ServerHost]}, Fields#{'Origin-Host' => Host, 'Origin-Realm' => Realm}),
    {send, setelement(4, Packet, ['CCR' | Named])}.

prepare_retransmit(Packet, _, _) -> {send, Packet}.

%% A packet is {diameter_packet, Header, Avps, Message, Octets, Errors, TransportData}; a header has E at its tenth place.
handle_answer(Packet, _, _, _) ->
    {answer, element(4, Packet), element(10, element(2, Packet)), element(6, Packet)}.

handle_error(Reason, _, _, _) -> {error, Reason}.

handle_request(Packet, _, {_, Caps}) ->
    [Name | Fields] = Message = element(4, Packet),
    player ! {requested, Message, element(6, Packet)},
    {Host, _} = element(2, Caps),
    {Realm, _} = element(3, Caps),
    {Answer, Result} = maps:get(Name, #{'RAR' => {'RAA', ?LIMITED_SUCCESS}, 'ASR' => {'ASA', ?SUCCESS}}),
    Session = maps:get('Session-Id', Fields),
    {reply, [
        Answer
        | #{'Session-Id' => Session, 'Result-Code' => Result, 'Origin-Host' => Host, 'Origin-Realm' => Realm}
    ]}.
