//! Error names on the wire: the only ones a client knows.

/// `xsd_errors` (io/xs_wire.h), spelled as there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum XsError {
    // Not 0, so that `Option<XsError>` can use 0 for no error.
    EINVAL = 1,
    EACCES,
    EEXIST,
    EISDIR,
    ENOENT,
    ENOMEM,
    ENOSPC,
    EIO,
    ENOTEMPTY,
    ENOSYS,
    EROFS,
    EBUSY,
    EAGAIN,
    EISCONN,
    E2BIG,
    EPERM,
}

impl XsError {
    /// Payload of an ERROR message, without its NUL.
    pub const fn name(self) -> &'static str {
        match self {
            XsError::EINVAL => "EINVAL",
            XsError::EACCES => "EACCES",
            XsError::EEXIST => "EEXIST",
            XsError::EISDIR => "EISDIR",
            XsError::ENOENT => "ENOENT",
            XsError::ENOMEM => "ENOMEM",
            XsError::ENOSPC => "ENOSPC",
            XsError::EIO => "EIO",
            XsError::ENOTEMPTY => "ENOTEMPTY",
            XsError::ENOSYS => "ENOSYS",
            XsError::EROFS => "EROFS",
            XsError::EBUSY => "EBUSY",
            XsError::EAGAIN => "EAGAIN",
            XsError::EISCONN => "EISCONN",
            XsError::E2BIG => "E2BIG",
            XsError::EPERM => "EPERM",
        }
    }
}

impl XsError {
    /// All of them.
    pub const ALL: [XsError; 16] = [
        XsError::EINVAL,
        XsError::EACCES,
        XsError::EEXIST,
        XsError::EISDIR,
        XsError::ENOENT,
        XsError::ENOMEM,
        XsError::ENOSPC,
        XsError::EIO,
        XsError::ENOTEMPTY,
        XsError::ENOSYS,
        XsError::EROFS,
        XsError::EBUSY,
        XsError::EAGAIN,
        XsError::EISCONN,
        XsError::E2BIG,
        XsError::EPERM,
    ];

    /// Xen's number for it (errno.h).
    pub const fn number(self) -> u8 {
        match self {
            XsError::EPERM => 1,
            XsError::ENOENT => 2,
            XsError::EIO => 5,
            XsError::E2BIG => 7,
            XsError::EAGAIN => 11,
            XsError::ENOMEM => 12,
            XsError::EACCES => 13,
            XsError::EBUSY => 16,
            XsError::EEXIST => 17,
            XsError::EISDIR => 21,
            XsError::EINVAL => 22,
            XsError::ENOSPC => 28,
            XsError::EROFS => 30,
            XsError::ENOSYS => 38,
            XsError::ENOTEMPTY => 39,
            XsError::EISCONN => 106,
        }
    }

    /// Whether it reports a quota or a lack of room.
    pub fn is_refusal(self) -> bool {
        matches!(self, XsError::ENOSPC | XsError::ENOMEM | XsError::EIO)
    }

    pub fn from_number(number: u8) -> Option<XsError> {
        XsError::ALL.into_iter().find(|error| error.number() == number)
    }
}
