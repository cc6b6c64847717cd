//! What the pages say.

use std::borrow::Cow;

macro_rules! texts {
    ($($key:ident = $english:literal;)*) => {
        /// What the pages say, in English unless it is replaced. Every field is one text.
        ///
        /// In a text, `{name}` and the like stand for a value; the English one tells which there
        /// are. `{n}` stands for a number: such a text has a form for each [`plural`](Self::plural),
        /// with `|` between them. [`set`](Self::set) takes texts from a translator's file.
        ///
        /// ```
        /// use hallpass::console::Texts;
        ///
        /// let mut texts = Texts::english();
        /// texts.lang = "pl".into();
        /// texts.new_token = "Nowy token".into();
        /// texts.set("days", "{n} dzień|{n} dni")?;
        /// assert!(texts.set("dayz", "").is_err());
        /// # Ok::<(), hallpass::console::UnknownText>(())
        /// ```
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct Texts {
            /// Which form of a text goes with a number, counted from 0.
            pub plural: fn(i64) -> usize,
            $(
                #[doc = concat!("`", $english, "`")]
                pub $key: Cow<'static, str>,
            )*
        }

        impl Texts {
            /// The names of all texts, as [`set`](Self::set) takes them.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];

            /// English.
            #[must_use]
            pub fn english() -> Self {
                Self {
                    plural: |n| usize::from(n != 1),
                    $($key: Cow::Borrowed($english),)*
                }
            }

            /// Replaces one text by its name.
            ///
            /// # Errors
            /// [`UnknownText`] if there is none of the name.
            pub fn set(
                &mut self,
                key: &str,
                text: impl Into<Cow<'static, str>>,
            ) -> Result<(), UnknownText> {
                match key {
                    $(stringify!($key) => self.$key = text.into(),)*
                    _ => return Err(UnknownText { key: key.escape_debug().take(64).collect() }),
                }
                Ok(())
            }
        }
    };
}

texts! {
    lang = "en";
    dir = "ltr";

    skip = "Skip to content";
    nav = "Tokens";
    nav_own = "Your tokens";
    nav_admin = "All tokens";
    dismiss = "Dismiss";
    cancel = "Cancel";
    optional = "(optional)";

    list_title = "Personal access tokens";
    list_lead = "Scripts and tools use a token in place of your password. Each can do what you allow it, until it expires or you revoke it.";
    admin_title = "All tokens";
    list_idle = "One that is not used for {span} is revoked.";
    admin_lead = "Tokens of every owner you look after. You can suspend and revoke them; their secrets are nobody's to see.";
    new_token = "New token";
    search_label = "Search";
    search_hint = "Name, description or id";
    show_label = "Show";
    sort_label = "Sort by";
    apply = "Apply";
    show_live = "In use";
    show_soon = "About to expire";
    show_unused = "Never used";
    show_suspended = "Suspended";
    show_ended = "Expired or revoked";
    show_all = "All";
    sort_newest = "Newest";
    sort_oldest = "Oldest";
    sort_name = "Name";
    sort_name_down = "Name, Z to A";
    sort_expiry = "Expires first";
    sort_expiry_down = "Expires last";
    sort_used = "Used longest ago";
    sort_used_down = "Used last";
    select = "Select";
    select_all = "Select all";
    select_one = "Select {name}";
    revoke_selected = "Revoke selected";
    revoke_selected_n = "Revoke {n} selected";
    first_page = "First page";
    next_page = "Next page";
    empty_title = "No tokens yet";
    empty_text = "Create one for the first script or tool that should work for you.";
    empty_action = "Create your first token";
    no_match_title = "Nothing matches";
    no_match_text = "No token fits this search. Ended tokens are shown only when you ask for them.";
    clear_filters = "Clear search";

    name = "Name";
    name_hint = "What will use it, so that you know later which one to revoke.";
    description = "Description";
    scopes = "Scopes";
    scopes_hint = "Choose as few as will do.";
    scope_search = "Find a scope";
    scope_none = "No scope fits.";
    scopes_picked = "{n} selected|{n} selected";
    scope_group = "Scopes";
    implies = "Includes {scopes}";
    presets = "Start from:";
    always = "Every token also has: {scopes}";
    expiry = "Expiration";
    expiry_date = "Last day";
    expiry_date_hint = "It works through this day, in UTC.";
    expiry_in = "{span} ({date})";
    expiry_default = "Default ({span})";
    expiry_keep = "Keep: {end}";
    expiry_on_date = "Choose a day…";
    expiry_never = "No expiration";
    limits = "Where it may be used";
    resources = "Resources";
    resources_none = "None in particular";
    resources_listed = "Only these";
    resources_all = "All, also those created later";
    resources_label = "Names of resources";
    resources_hint = "One in a line. A * at the end stands for anything: org/* is everything in org.";
    networks = "Networks";
    networks_anywhere = "Anywhere";
    networks_hint = "Addresses from which it may be used, one in a line: 192.0.2.7 or 192.0.2.0/24. Empty: from anywhere.";

    create_title = "New token";
    create_lead = "You see its secret once, right after it is created.";
    create_action = "Create token";
    copy_title = "Copy of {name}";
    copy_lead = "A new token with the same settings and a secret of its own. Change what you like.";
    copy_name = "{name} (copy)";

    secret_title = "Token created";
    secret_lead = "{name} is ready to use.";
    secret_rotated_title = "New secret";
    secret_rotated_lead = "{name} has a new secret. Put it where the old one is.";
    secret_once = "Copy it now. It is not stored and cannot be shown again.";
    secret_label = "Secret";
    copy_secret = "Copy";
    copied = "Copied";
    copy_failed = "The browser does not let this page copy. Select the secret and copy it yourself.";
    download_secret = "Download";
    secret_done = "I have saved it";
    old_secret = "Old secret";
    old_secret_until = "works until {instant}";
    old_secret_ended = "does not work any more";

    settings = "Settings";
    save = "Save changes";
    actions = "Actions";
    facts = "Details";
    regenerate = "Regenerate";
    copy = "Copy";
    suspend = "Suspend";
    suspend_over = "Suspend as administrator";
    resume = "Resume";
    revoke = "Revoke";
    owner = "Owner";
    short_title = "What are you looking for?";
    short_text = "Search for at least two characters, or name an owner.";
    tenant = "Tenant";
    tenant_title = "In which tenant?";
    tenant_text = "Several tenants can have an owner of this name. Say which one you mean.";
    expires = "Expires";
    last_used = "Last used";
    status = "Status";
    created = "Created";
    created_by_owner = "by the owner";
    created_by_admin = "by administrator {id}";
    created_by_app = "by the app";
    created_by_token = "by token {id}";
    rotated = "Regenerated";
    suspended_on = "Suspended";
    revoked_on = "Revoked";
    never_used = "Never";
    never_expires = "Never";
    banner_soon = "It expires {when}. Regenerate it in time, and what uses it goes on working.";
    banner_suspended_by_admin = "Suspended by an administrator: whoever presents it is refused, and only an administrator can resume it.";
    banner_suspended_by_app = "Suspended by the app: whoever presents it is refused, and only an administrator can resume it.";
    banner_suspended = "It is suspended: whoever presents it is refused until it is resumed.";
    banner_expired = "It has expired and cannot be used any more. You can copy its settings into a new one.";
    banner_revoked = "It is revoked, for good. You can copy its settings into a new one.";

    status_active = "Active";
    status_soon = "Expires soon";
    status_not_yet_valid = "Not yet valid";
    status_suspended = "Suspended";
    status_expired = "Expired";
    status_revoked = "Revoked";
    reason_requested = "on request";
    reason_password_changed = "the password was changed";
    reason_owner_deleted = "the owner was deleted";
    reason_idle = "not used for too long";
    reason_reused = "an old secret was presented again";
    reason_leaked = "the secret was found in public";

    regenerate_title = "Regenerate {name}";
    regenerate_lead = "It gets a new secret and keeps its name, id and settings.";
    regenerate_action = "Regenerate";
    overlap = "The old secret";
    overlap_none = "stops working at once";
    overlap_for = "keeps working for {span}";
    overlap_hint = "Time to put the new secret in place. If the old one may be in the wrong hands, stop it at once.";

    revoke_title = "Revoke {name}?";
    revoke_many_title = "Revoke {n} token?|Revoke {n} tokens?";
    revoke_text = "Whatever uses it stops working at once. This cannot be undone.";

    confirm_title = "Confirm it is you";
    confirm_text = "What you are about to do gives lasting access, so we ask again. Nothing you entered is lost.";
    confirm_action = "Confirm and continue";
    confirm_elsewhere = "Confirm in a new tab";
    password = "Password";
    confirm_wrong = "That is not right. Try again.";
    confirm_not_yet = "You have not confirmed yet.";
    confirm_wait = "Too many attempts. Wait {span}.";

    whose_label = "Whose token is this?";
    whose_hint = "A visible id, or the whole text of a token that was found somewhere. It is looked up and not kept.";
    whose_action = "Look up";
    whose_none_title = "No token found";
    whose_none_text = "That is no token of this app, or one that you do not look after.";
    whose_live = "The text is good: whoever has it can use the token. Revoke it if it leaked.";
    whose_dead = "The text is not good: it would be refused.";

    notice_saved = "Changes saved.";
    notice_suspended = "Suspended. Whoever presents it is refused.";
    notice_resumed = "Resumed. It can be used again.";
    notice_revoked = "{n} token revoked.|{n} tokens revoked.";

    errors_title = "That did not work";
    error_name_length = "A name has 1 to 100 characters.";
    error_name_character = "A name holds no control or direction character.";
    error_name_space = "A name neither starts nor ends with a space.";
    error_name_invisible = "A name holds at least one visible character.";
    error_name_taken = "You have a token of this name.";
    error_name_taken_link = "Show it";
    error_description = "A description has at most 1000 characters and no control character.";
    error_scope_none = "Choose at least one scope.";
    error_scope_many = "A token has at most 64 scopes.";
    error_scope_unknown = "There is no scope {scope}.";
    error_scope_kind = "Tokens of this kind cannot have the scope {scope}.";
    error_scope_beyond = "You do not have the scope {scope} yourself.";
    error_resource = "Not a resource: {text}. Write a name without spaces, or its beginning followed by *.";
    error_resource_none = "Name at least one resource.";
    error_resource_many = "A token has at most 64 resources.";
    error_network = "Not an address or network: {text}";
    error_network_many = "A token has at most 64 networks.";
    error_expiry_short = "It would expire too soon.";
    error_expiry_long = "It would live longer than allowed: {span} at most.";
    error_expiry_never = "A token must expire.";
    error_expiry_date = "Choose a day between {first} and {last}.";
    error_party = "Its audience or client cannot be used any more.";
    error_owner_unknown = "Your account is not known any more.";
    error_owner_inactive = "Your account is not active.";
    error_owner_kind = "Accounts like yours cannot hold tokens.";
    error_quota = "You hold {n} token, the most allowed. Revoke one first.|You hold {n} tokens, the most allowed. Revoke one first.";
    error_stale = "The token was changed in the meantime, perhaps in another tab. Look at it again, then make your change.";
    error_not_own_suspension = "An administrator suspended the token. Only an administrator can resume it.";
    error_ended = "The token has ended and cannot be changed.";
    error_form_used = "This form was used already. Open a new one.";
    error_unavailable = "That cannot be done right now. Nothing you entered is lost; try again in a moment.";
    error_window = "It would end before it starts.";

    replayed_title = "Created already";
    replayed_text = "This form created {name} before, and its secret was shown then. If you did not keep it, regenerate the token.";
    rotated_title = "Regenerated already";
    rotated_text = "The token was regenerated or changed in the meantime, and no secret is shown twice. If you did not keep the new one, regenerate the token again.";
    show_token = "Show the token";
    back_to_list = "Back to your tokens";
    not_found_title = "Not found";
    not_found_text = "There is no such token or page.";
    bad_title = "That is not right";
    bad_text = "The address or form holds something this page does not understand. Start again from your list.";
    cursor_text = "This page of the list is not there any more. Start again from the first page.";
    sign_in_title = "Sign in first";
    sign_in_text = "You are signed out, so nothing was done. Sign in, then try again.";
    sign_in_action = "Sign in";
    token_title = "Not with a token";
    token_text = "Tokens do not manage tokens. Sign in instead.";
    csrf_title = "Please try again";
    csrf_text = "This did not come from a page of your present session, so nothing was done. Load the page again, then repeat it.";
    unavailable_title = "Not right now";
    unavailable_text = "That cannot be told right now. Try again in a moment.";
    too_large_title = "Too much";
    too_large_text = "What you sent is larger than any form here.";
    method_title = "Not like this";
    method_text = "This page does not take that kind of request.";

    now = "just now";
    in_span = "in {span}";
    span_ago = "{span} ago";
    minutes = "{n} minute|{n} minutes";
    hours = "{n} hour|{n} hours";
    days = "{n} day|{n} days";
    months = "{n} month|{n} months";
    years = "{n} year|{n} years";
}

impl Default for Texts {
    fn default() -> Self {
        Self::english()
    }
}

impl Texts {
    /// A text with a value in it.
    pub(super) fn fill(&self, text: &str, name: &str, value: &str) -> String {
        text.replace(&format!("{{{name}}}"), value)
    }

    /// The form of a text that goes with a number, with the number in it.
    pub(super) fn count(&self, text: &str, n: i64) -> String {
        self.form(text, n).replace("{n}", &n.to_string())
    }

    /// The form of a text for many, with the place for the number left as it is.
    pub(super) fn many<'a>(&self, text: &'a str) -> &'a str {
        self.form(text, 5)
    }

    fn form<'a>(&self, text: &'a str, n: i64) -> &'a str {
        let last = text.rsplit('|').next().unwrap_or(text);
        text.split('|').nth((self.plural)(n)).unwrap_or(last)
    }
}

/// There is no text of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no text `{key}`")]
#[non_exhaustive]
pub struct UnknownText {
    /// The name, escaped and cut to 64 characters.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_chooses_the_form() {
        let mut texts = Texts::english();
        assert_eq!(texts.count(&texts.days, 1), "1 day");
        assert_eq!(texts.count(&texts.days, 0), "0 days");
        assert_eq!(texts.many(&texts.days), "{n} days");
        texts.set("days", "{n} dzień|{n} dni").unwrap();
        texts.plural = |n| if n == 1 { 0 } else { 7 };
        assert_eq!(texts.count(&texts.days, 2), "2 dni");
    }

    #[test]
    fn every_text_can_be_replaced_by_name() {
        let mut texts = Texts::english();
        for key in Texts::KEYS {
            texts.set(key, "x").unwrap();
        }
        assert_eq!(texts.skip, "x");
        assert_eq!(texts.set("x\n", "").unwrap_err().key, "x\\n");
    }
}
