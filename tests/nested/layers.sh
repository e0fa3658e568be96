# nested: --no-start --guests --add target/xs-layers:usr/bin/xs-layers --limit 300
# The store begins with layers: a vendor's and a site's are in, wrong ones are left out, and dom0 and a guest work on top.
# What they change is a layer that makes up for it; a live update keeps all.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

cd /root || exit 1
{
    echo 'layer vendor'
    seq 500 | sed 's|.*|/vendor/class/n& = "value &"   (n0,r32757)|'
    printf '%s\n' '/vendor/default = "a\tb\x01"   (r0)'
} >vendor
{
    echo 'layer site'
    echo 'whiteout /vendor/class/n7'
    echo '/vendor/class/n8 = "site"'
    echo '/local/domain/0/site = "here"'
} >site
printf 'layer wrong\n/x = "1"\n/y.z = "2"\n' >wrong
echo 'layer empty' >empty
{
    echo 'layer large'
    seq 50000 | sed 's|.*|/l/&:|'
} >large
matches 'what is right is packed' '^3 layers, .* bytes; 506 nodes fused' "$(xs-layers pack -o right vendor site empty 2>&1)"
matches 'what is wrong is not' '^wrong:3:1: wrong: the path is none' "$(xs-layers pack wrong 2>&1)"
{ cat vendor site wrong empty large && echo end; } >module
printf '%s\n' --ramdisk /root/module >>/nested/stub-args
start_store || failed 'the store starts'

console=$(xl dmesg | grep 'layers: ')
matches 'the console says which is wrong, and why' "layers: 'wrong' is left out: line 509, column 1: the path" "$console"
matches 'and which is too large' "layers: 'large' is left out: line [0-9]*, column 1: there is no room" "$console"
equal 'no other is left out' 2 "$(echo "$console" | wc -l)"
says 'control says the same' "vendor: 501 nodes, 0 removals
site: 2 nodes, 1 removals
wrong: left out: line 509, column 1: the path is none that a node may have
empty: 0 nodes, 0 removals
large: left out: $(echo "$console" | sed -n "s/.*'large' is left out: //p")" xenstore-control layers
xs-layers fuse right | grep '^/vendor' >wanted
xenstore-ls -f -p | grep '^/vendor' >got
says 'the store has what the tool says' '' cmp wanted got
equal 'all of it' 502 "$(wc -l <got)"
says 'a node is the vendor'"'"'s' vendor xenstore-control layers /vendor/class/n9
says 'another the site'"'"'s' site xenstore-control layers /vendor/class/n8
says 'a value as it was written' 'a	b' sh -c 'xenstore-read -R /vendor/default | tr -d "\001"'
refuses 'of a layer that was left out there is nothing' xenstore-read /x
says 'the store is sound' OK xenstore-control check

make_guest linux
xl create linux.cfg >/dev/null || failed 'linux: xl create'
becomes 90 'a guest is up' xenstore-exists "/local/domain/$(xl domid linux)/data/hello"
xenstore-write /vendor/class/n9 mine /new/node 1
xenstore-rm /vendor/class/n10
xenstore-chmod /vendor/class/n11 b0
says 'a node that was changed is told' 'vendor, value changed' xenstore-control layers /vendor/class/n9
says 'an update takes over' '' xenstore-control live-update /nested/image
says 'and knows it, too' 'vendor, value changed' xenstore-control layers /vendor/class/n9
xs-layers diff /dev/xen/xenbus right >changes || failed 'the changes'
for line in 'whiteout /vendor/class/n10' '/vendor/class/n9 = "mine"' '/vendor/class/n11:   (b0)' '/new/node = "1"   (n0)'; do
    contains "the changes have: $line" "$line" "$(cat changes)"
    contains "the store says it itself: $line" "$line" "$(xenstore-control layers diff)"
done
equal 'what toolstacks make anew is not among them' 0 "$(grep -cE '^(/vm|/libxl|/local/domain/[1-9])' changes)"
matches 'the statistics tell of the layers, too' 'wrong  *left out: line 509, column 1: the path' "$(xenstore-control stats)"
xs-layers fuse right changes | grep -E '^/(vendor|new)' | sort >wanted
xenstore-ls -f -p | grep -E '^/(vendor|new)' | sort >got
says 'with them on top the same store comes again' '' cmp wanted got
says 'the store is still sound' OK xenstore-control check
checks_done
