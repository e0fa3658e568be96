(* Talks to the store by Xen's own library: ocamlfind ocamlopt -package xenstore -linkpkg talk.ml *)

open Xenbus
open Xenstore

(* Adds one to the number of a node. If another client writes it meanwhile, Xs.transaction does the whole anew. *)
let add_one store path =
  Xs.transaction store (fun transaction ->
      let number = try int_of_string (transaction.Xst.read path) with Xb.Noent -> 0 in
      transaction.Xst.write path (string_of_int (number + 1));
      number + 1)

(* Events that came before the answer to a request wait in a queue, at which Xs.read_watchevent does not look. *)
let next_event store =
  if Xs.has_watchevents store then Xs.get_watchevent store else Xs.read_watchevent store

let () =
  (* In dom0 of a host with this store there is no daemon, but the device that Xs.domain_open takes. *)
  let store = try Xs.daemon_open () with Xs.Failed_to_connect -> Xs.domain_open () in
  store.Xs.write "/talk/greeting" "hello";
  print_endline ("read: " ^ store.Xs.read "/talk/greeting");
  Printf.printf "number: %d\n%!" (add_one store "/talk/number");
  List.iter (fun name -> print_endline ("child: " ^ name)) (store.Xs.directory "/talk");

  store.Xs.watch "/talk/greeting" "token";
  (* The first event says that the watch is set. *)
  ignore (next_event store);
  store.Xs.write "/talk/greeting" "goodbye";
  print_endline ("changed: " ^ fst (next_event store));

  store.Xs.rm "/talk";
  (match store.Xs.read "/talk/greeting" with
  | _ -> ()
  | exception Xb.Noent -> print_endline "gone");
  Xs.close store
