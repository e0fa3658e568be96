//! Addresses that `linker.ld` and `boot/` define. Only the address of each symbol means something.

unsafe extern "C" {
    static image_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static image_end: u8;
    static double_fault_guard: u8;
    static double_fault_stack_top: u8;
    static fault_guard: u8;
    static fault_stack_top: u8;
    static main_guard: u8;
    static exception_stubs: u8;
    static upcall_entry: u8;
    static watch_entry: u8;
    static way_start: u8;
    static way_end: u8;
    static data_end: u8;
    static pvh_start: u8;
}

macro_rules! addresses {
    ($($name:ident = $symbol:ident;)*) => {
        $(pub fn $name() -> u64 {
            (&raw const $symbol) as u64
        })*
    };
}

addresses! {
    start = image_start;
    end_of_text = text_end;
    end_of_rodata = rodata_end;
    end = image_end;
    guard_of_double_fault_stack = double_fault_guard;
    top_of_double_fault_stack = double_fault_stack_top;
    guard_of_fault_stack = fault_guard;
    top_of_fault_stack = fault_stack_top;
    guard_of_main_stack = main_guard;
    first_exception_stub = exception_stubs;
    upcall = upcall_entry;
    watch = watch_entry;
    start_of_way = way_start;
    end_of_way = way_end;
    end_of_data = data_end;
    entry = pvh_start;
}
