//! Dialogues in the words of real servers and clients.

use gridway_proxy::ftp::session::Site;
use gridway_proxy::ftp::{FarEvent, NearEvent};

use crate::support::{Client, Server, play};

#[test]
fn vsftpd_and_curl_in_passive_mode() {
    let session = play(
        Site::new(false, false),
        &[
            Server("220 (vsFTPd 3.0.3)\r\n", "220 (vsFTPd 3.0.3)\r\n"),
            Client("USER anonymous\r\n", "USER anonymous\r\n"),
            Server("331 Please specify the password.\r\n", "331 Please specify the password.\r\n"),
            Client("PASS ftp@example.com\r\n", "PASS ftp@example.com\r\n"),
            Server("230 Login successful.\r\n", "230 Login successful.\r\n"),
            Client("PWD\r\n", "PWD\r\n"),
            Server("257 \"/\" is the current directory\r\n", "257 \"/\" is the current directory\r\n"),
            Client("EPSV\r\n", "EPSV\r\n"),
            Server(
                "229 Entering Extended Passive Mode (|||30005|)\r\n",
                "229 Entering Extended Passive Mode (|||51000|)\r\n",
            ),
            Client("TYPE I\r\n", "TYPE I\r\n"),
            Server("200 Switching to Binary mode.\r\n", "200 Switching to Binary mode.\r\n"),
            Client("SIZE big.bin\r\n", "SIZE big.bin\r\n"),
            Server("213 1048576\r\n", "213 1048576\r\n"),
            Client("RETR big.bin\r\n", "RETR big.bin\r\n"),
            Server(
                "150 Opening BINARY mode data connection for big.bin (1048576 bytes).\r\n",
                "150 Opening BINARY mode data connection for big.bin (1048576 bytes).\r\n",
            ),
            Server("226 Transfer complete.\r\n", "226 Transfer complete.\r\n"),
            Client("PASV\r\n", "PASV\r\n"),
            Server(
                "227 Entering Passive Mode (192,168,77,5,117,54).\r\n",
                "227 Entering Passive Mode (10,1,0,1,199,57).\r\n",
            ),
            Client("QUIT\r\n", "QUIT\r\n"),
            Server("221 Goodbye.\r\n", "221 Goodbye.\r\n"),
        ],
    );
    let ports = [30005, 30006];
    assert_eq!(session.near_events, ports.map(|far_port| NearEvent::Passive { far_port }));
    assert_eq!(session.far_events, ports.map(|port| FarEvent::Announced { port }));
    assert_eq!(session.near.active_endpoint(), None);
}

#[test]
fn proftpd_with_lines_of_features_in_active_mode() {
    let features = "211-Features:\r\n MDTM\r\n MFMT\r\n UTF8\r\n 211 looks like the end\r\n\
        211-so does this\r\n REST STREAM\r\n SIZE\r\n211 End\r\n";
    let session = play(
        Site::new(false, false),
        &[
            Server(
                "220-Welcome,\r\n220-stranger\r\n220 ProFTPD Server ready.\r\n",
                "220-Welcome,\r\n220-stranger\r\n220 ProFTPD Server ready.\r\n",
            ),
            Client("FEAT\r\n", "FEAT\r\n"),
            Server(features, features),
            Client("PORT 10,1,0,2,195,80\r\n", "PORT 10,2,0,1,203,32\r\n"),
            Server("200 PORT command successful\r\n", "200 PORT command successful\r\n"),
            Client("EPRT |1|10.1.0.2|50001|\r\n", "PORT 10,2,0,1,203,33\r\n"),
            Server("200 PORT command successful\r\n", "200 PORT command successful\r\n"),
            Client("NLST\r\n", "NLST\r\n"),
            Server(
                "150 Opening ASCII mode data connection\r\n",
                "150 Opening ASCII mode data connection\r\n",
            ),
            Server("226 Transfer complete\r\n", "226 Transfer complete\r\n"),
        ],
    );
    let clients = ["10.1.0.2:50000", "10.1.0.2:50001"].map(|client| client.parse().unwrap());
    assert_eq!(session.far_events, clients.map(|client| FarEvent::Active { client }));
    assert_eq!(session.near.active_endpoint(), Some(clients[1]));
}

#[test]
fn pure_ftpd_over_ipv6() {
    let session = play(
        Site::new(true, true),
        &[
            Server(
                "120 In a moment\r\n220 Welcome to Pure-FTPd\r\n",
                "120 In a moment\r\n220 Welcome to Pure-FTPd\r\n",
            ),
            Client("EPSV 2\r\n", "EPSV 2\r\n"),
            Server(
                "229 Extended Passive mode OK (|||50010|)\r\n",
                "229 Entering Extended Passive Mode (|||51000|)\r\n",
            ),
            Client("EPRT |2|fd00:1::2|50000|\r\n", "EPRT |2|fd00:2::1|52001|\r\n"),
            Server("200 PORT command successful\r\n", "200 PORT command successful\r\n"),
        ],
    );
    assert_eq!(session.near.active_endpoint(), Some("[fd00:1::2]:50000".parse().unwrap()));
}

#[test]
fn an_ipv4_client_of_an_ipv6_server() {
    play(
        Site::new(false, true),
        &[
            Server("220 ready\r\n", "220 ready\r\n"),
            Client("PASV\r\n", "EPSV\r\n"),
            Server(
                "229 Entering Extended Passive Mode (|||30005|)\r\n",
                "227 Entering Passive Mode (10,1,0,1,199,56).\r\n",
            ),
            Client("EPSV 1\r\n", "EPSV\r\n"),
            Server(
                "229 Entering Extended Passive Mode (|||30006|)\r\n",
                "229 Entering Extended Passive Mode (|||51001|)\r\n",
            ),
            Client("PORT 10,1,0,2,195,80\r\n", "EPRT |2|fd00:2::1|52002|\r\n"),
            Server("200 EPRT command successful.\r\n", "200 EPRT command successful.\r\n"),
        ],
    );
}

#[test]
fn an_ipv6_client_of_an_ipv4_server() {
    play(
        Site::new(true, false),
        &[
            Server("220 ready\r\n", "220 ready\r\n"),
            Client("EPSV 2\r\n", "EPSV\r\n"),
            Server(
                "229 Entering Extended Passive Mode (|||30005|)\r\n",
                "229 Entering Extended Passive Mode (|||51000|)\r\n",
            ),
            Client("EPRT |2|fd00:1::2|50000|\r\n", "PORT 10,2,0,1,203,33\r\n"),
            Server("200 PORT command successful\r\n", "200 PORT command successful\r\n"),
        ],
    );
}

#[test]
fn a_transfer_is_aborted_and_asked_for_its_status() {
    play(
        Site::new(false, false),
        &[
            Server("220 ready\r\n", "220 ready\r\n"),
            Client("RETR big.bin\r\n", "RETR big.bin\r\n"),
            Server("150 here it comes\r\n", "150 here it comes\r\n"),
            Client("STAT\r\n", "STAT\r\n"),
            Server(
                "211-Status\r\n    1000 bytes sent\r\n211 End\r\n",
                "211-Status\r\n    1000 bytes sent\r\n211 End\r\n",
            ),
            Client("ABOR\r\n", "ABOR\r\n"),
            Server("426 Aborted.\r\n226 ABOR successful.\r\n", "426 Aborted.\r\n226 ABOR successful.\r\n"),
            Server("225 and once more\r\n", "225 and once more\r\n"),
            Client("PASV\r\n", "PASV\r\n"),
            Server("227 (10,2,0,2,8,0)\r\n", "227 Entering Passive Mode (10,1,0,1,199,56).\r\n"),
        ],
    );
}

#[test]
fn one_reply_to_a_transfer_and_its_abort() {
    play(
        Site::new(false, false),
        &[
            Server("220 ready\r\n", "220 ready\r\n"),
            Client("RETR big.bin\r\nABOR\r\n", "RETR big.bin\r\nABOR\r\n"),
            Server("226 Aborted\r\n", "226 Aborted\r\n"),
            Client("PASV\r\n", "PASV\r\n"),
            Server("227 (10,2,0,2,8,0)\r\n", "227 Entering Passive Mode (10,1,0,1,199,56).\r\n"),
        ],
    );
}

#[test]
fn a_second_reply_to_abort_is_no_reply_to_pasv() {
    play(
        Site::new(false, false),
        &[
            Server("220 ready\r\n", "220 ready\r\n"),
            Client("ABOR\r\nPASV\r\n", "ABOR\r\nPASV\r\n"),
            Server("226 Closed\r\n226 Aborted\r\n", "226 Closed\r\n226 Aborted\r\n"),
            Server("227 (10,2,0,2,8,0)\r\n", "227 Entering Passive Mode (10,1,0,1,199,56).\r\n"),
        ],
    );
}

#[test]
fn a_passive_reply_over_several_lines() {
    let session = play(
        Site::new(false, false),
        &[
            Server("220 ready\r\n", "220 ready\r\n"),
            Client("PASV\r\n", "PASV\r\n"),
            Server("227-Listening at\r\n 1,2,3,4,5,6\r\n", ""),
            Server("227 (10,2,0,2,8,0)\r\n", "227 Entering Passive Mode (10,1,0,1,199,56).\r\n"),
        ],
    );
    assert_eq!(session.far_events, [FarEvent::Announced { port: 2048 }]);
}

#[test]
fn a_server_that_goes_away_says_so() {
    play(
        Site::new(false, false),
        &[Server("220 ready\r\n", "220 ready\r\n"), Server("421 Timeout.\r\n", "421 Timeout.\r\n")],
    );
}

#[test]
fn banners_end_their_lines_as_they_like() {
    let banner = "220-From a file\r\r\n220-or another\n\n220 ready\r\n";
    play(Site::new(false, false), &[Server(banner, banner), Client("NOOP\n", "NOOP\r\n")]);
}
