# Fetches Debian packages of another release and unpacks them in the cache, without installing any.
# A private apt configuration keeps the machine's own lists and state out of it, in both directions.
# shellcheck shell=bash

# mirror LABEL-PATTERN: the address the machine's own apt uses for this Debian archive.
mirror() {
    local own
    # shellcheck source=/dev/null
    own=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016  # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
        awk -v own="$own" -v want="$1" '
            $3 != "main" { next }
            want == "main" && ($2 == own || $2 == "stable") { print $1; exit }
            want == "security" && $2 ~ /(-security|\/updates)$/ { print $1; exit }'
}

# write_apt_conf DIRECTORY: an apt that knows $SUITE only and believes nothing is installed.
write_apt_conf() {
    local dir=$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg main security
    main=$(mirror main)
    [[ $main ]] || die "apt names no Debian mirror on this machine; Xen's packages come from there"
    [[ -r $keys ]] || die "missing here: debian-archive-keyring (apt-get install debian-archive-keyring)"
    security=$(mirror security)

    mkdir -p "$dir/lists/partial" "$dir/archives/partial"
    : >"$dir/status"
    {
        echo "deb [signed-by=$keys] $main $SUITE main"
        if [[ $security ]]; then echo "deb [signed-by=$keys] $security $SUITE-security main"; fi
    } >"$dir/sources.list"
    cat >"$dir/apt.conf" <<-CONF
		APT::Architecture "amd64";
		APT::Sandbox::User "";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
		Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::State "$dir";
		Dir::State::status "$dir/status";
		Dir::State::lists "$dir/lists";
		Dir::Cache "$dir";
		Debug::NoLocking "true";
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	CONF
}

# unpack DEB ROOT: only the files of ours in it. The root is merged (/lib is /usr/lib), as newer
# releases are, so that packages of both kinds land in one place.
unpack() {
    local only=()
    # The kernel package holds thousands of modules; a Xen guest and dom0 want a few.
    case ${1##*/} in
        linux-image-*) only=(--wildcards './boot/vmlinuz-*' '*/drivers/xen/xen-*.ko*' '*/drivers/xen/xenfs/*'
            '*/drivers/block/xen-blk*' '*/drivers/block/loop.ko*' '*/drivers/net/xen-net*'
            '*/fs/ext4/*' '*/fs/jbd2/*' '*/fs/mbcache.ko*' '*/lib/crc16.ko*' '*/crypto/crc32c_generic.ko*') ;;
        xen-hypervisor-*) only=(--wildcards './boot/xen-*.gz') ;;
    esac
    dpkg-deb --fsys-tarfile "$1" |
        tar -x -C "$2" --keep-directory-symlink --no-same-owner --exclude=./usr/share "${only[@]}"
}

# fetch_packages DIRECTORY: fills DIRECTORY/root from $PACKAGES.
fetch_packages() {
    local dir=$1 names deb link
    write_apt_conf "$dir/apt"
    local apt=(apt-get -c "$dir/apt/apt.conf" -q=2)

    say "Xen $XEN: reading Debian $SUITE's package list"
    # Without a network, apt-get warns and succeeds unless it is told that any error is one.
    "${apt[@]}" --error-on=any update >&2 || die "apt could not read Debian $SUITE's package list; see its message above"
    # shellcheck disable=SC2086  # a list of words
    names=$(apt-get -c "$dir/apt/apt.conf" -s install --no-install-recommends $PACKAGES |
        awk -v named=" $PACKAGES " -v library="$LIBRARIES" \
            '$1 == "Inst" && (index(named, " " $2 " ") || $2 ~ library) && $2 != "linux-image-amd64" { print $2 }') ||
        die "apt cannot choose from Debian $SUITE's packages; see its message above"
    [[ $names ]] || die "Debian $SUITE does not have all of: $PACKAGES"

    say "Xen $XEN: fetching $(wc -w <<<"$names") packages"
    # shellcheck disable=SC2086
    (cd "$dir/apt/archives" && "${apt[@]}" download $names >&2) || die "apt could not fetch Xen $XEN's packages"

    mkdir -p "$dir/root/usr/lib64" "$dir/root/usr/lib" "$dir/root/usr/bin" "$dir/root/usr/sbin"
    for link in lib lib64 bin sbin; do ln -s "usr/$link" "$dir/root/$link"; done
    for deb in "$dir"/apt/archives/*.deb; do unpack "$deb" "$dir/root"; done
    (cd "$dir/apt/archives" && printf '%s\n' *.deb) >"$dir/packages"
    rm -r "$dir/apt"
}
