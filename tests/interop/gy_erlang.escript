#!/usr/bin/env escript
%% -*- erlang -*-
%% The diameter application of Erlang/OTP plays a Gy session against a Tollgate server with the demo configuration:
%%
%%     gy_erlang.escript HOST:PORT
%%
%% CER, CCR initial, update, termination, DPR. That stack refuses an answer whose AVPs are not as its dictionary says, so a
%% session that ends well also means well-formed answers. Exit status: 0 all as expected, 1 not (the last line says what).

-module(gy_erlang).
-mode(compile).
-export([main/1]).
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3]).
-export([handle_answer/4, handle_error/4, handle_request/3]).

-define(SERVICE, gy).
-define(HOST, "gy-erlang.client.example").
-define(REALM, "client.example").
-define(PATIENCE, 10000).
-define(MB, 1000000).

main([Address]) ->
    try
        play(Address),
        say("ok: all as expected", []),
        halt(0)
    catch
        Class:Reason:Stack ->
            say("FAILED: ~p ~p~n~p", [Class, Reason, Stack]),
            halt(1)
    end;
main(_) ->
    say("usage: gy_erlang.escript HOST:PORT", []),
    halt(2).

play(Address) ->
    [Host, Port] = string:split(Address, ":", trailing),
    {ok, Ip} = inet:parse_address(Host),
    ok = load_dictionary(),
    ok = diameter:start(),
    ok = diameter:start_service(?SERVICE, service()),
    true = diameter:subscribe(?SERVICE),
    {ok, Transport} = diameter:add_transport(?SERVICE, {connect, [
        {transport_module, diameter_tcp},
        {transport_config, [{raddr, Ip}, {rport, list_to_integer(Port)}, {reuseaddr, true}]}
    ]}),
    wait(up),
    say("connected", []),

    Session = unicode:characters_to_list(diameter:session_id(?HOST)),
    Initial = ask(Session, 1, 0, #{'Requested-Service-Unit' => [#{}]}),
    granted(Initial, 10 * ?MB),
    Used = fun(Octets) -> #{'Used-Service-Unit' => [#{'CC-Total-Octets' => [Octets]}]} end,
    Update = ask(Session, 2, 1, (Used(1500000))#{'Requested-Service-Unit' => [#{}]}),
    granted(Update, 10 * ?MB),
    Termination = ask(Session, 3, 2, Used(1000000)),
    [] = maps:get('Multiple-Services-Credit-Control', Termination, []),
    %% 2.5 MB are three blocks of 0.01 CNY.
    [#{'Unit-Value' := Value, 'Currency-Code' := 156}] = maps:get('Cost-Information', Termination),
    #{'Value-Digits' := 3, 'Exponent' := [-2]} = Value,

    %% DPR, and the server's DPA ends it.
    ok = diameter:remove_transport(?SERVICE, Transport),
    wait(down),
    ok = diameter:stop_service(?SERVICE).

service() ->
    [
        {'Origin-Host', ?HOST},
        {'Origin-Realm', ?REALM},
        {'Vendor-Id', 0},
        {'Product-Name', "gy_erlang"},
        {'Auth-Application-Id', [4]},
        {string_decode, false},
        {decode_format, map},
        {application, [{alias, credit_control}, {dictionary, credit_control}, {module, ?MODULE}]}
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

ask(Session, Type, Number, Service) ->
    Request = #{
        'Session-Id' => Session,
        'Destination-Realm' => "tollgate.example",
        'Auth-Application-Id' => 4,
        'Service-Context-Id' => "32251@3gpp.org",
        'CC-Request-Type' => Type,
        'CC-Request-Number' => Number,
        'Subscription-Id' => [#{'Subscription-Id-Type' => 0, 'Subscription-Id-Data' => "8613900000003"}],
        'Multiple-Services-Indicator' => [1],
        'Multiple-Services-Credit-Control' => [Service#{'Rating-Group' => [1]}]
    },
    {answer, Answer, []} = diameter:call(?SERVICE, credit_control, ['CCR' | Request], [{timeout, ?PATIENCE}]),
    ['CCA' | Fields] = Answer,
    Session = unicode:characters_to_list(maps:get('Session-Id', Fields)),
    #{'Result-Code' := 2001, 'CC-Request-Type' := Type, 'CC-Request-Number' := Number} = Fields,
    say("request ~p of type ~p: 2001", [Number, Type]),
    Fields.

granted(Answer, Octets) ->
    [Service] = maps:get('Multiple-Services-Credit-Control', Answer),
    #{'Rating-Group' := [1], 'Result-Code' := [2001], 'Granted-Service-Unit' := [Unit]} = Service,
    #{'CC-Total-Octets' := [Octets]} = Unit.

say(Format, Arguments) ->
    io:format(standard_error, Format ++ "~n", Arguments).

%% What the stack asks of its user.

peer_up(_, _, State) -> State.
peer_down(_, _, State) -> State.
pick_peer([Peer | _], _, _, _) -> {ok, Peer}.

prepare_request(Packet, _, {_, Caps}) ->
    ['CCR' | Fields] = element(4, Packet),
    %% Pairs of this side and the other.
    {Host, ServerHost} = element(2, Caps),
    {Realm, _} = element(3, Caps),
    Named = Fields#{'Origin-Host' => Host, 'Origin-Realm' => Realm, 'Destination-Host' => [ServerHost]},
    {send, setelement(4, Packet, ['CCR' | Named])}.

prepare_retransmit(Packet, _, _) -> {send, Packet}.

%% A packet is {diameter_packet, Header, Avps, Message, Octets, Errors, TransportData}.
handle_answer(Packet, _, _, _) -> {answer, element(4, Packet), element(6, Packet)}.
handle_error(Reason, _, _, _) -> {error, Reason}.
handle_request(_, _, _) -> discard.
